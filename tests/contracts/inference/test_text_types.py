"""The types and formats that text is recognised to be written in."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest

from tidemill.contracts.checks.text_cells import read_text
from tidemill.contracts.inference.text_types import text_arguments, written_type

LONG = "12345678901234567890123"


@pytest.mark.parametrize(
    ("cells", "dtype", "arguments"),
    [
        (["1", " 2", None], pl.Int64(), []),
        (["1", "0.5"], pl.Float64(), []),
        (["1", "NA", "-"], pl.Int64(), ['null_values=["NA", "-"]']),
        (["02139", "12345"], pl.String(), []),
        (["+4912", "4913"], pl.String(), []),
        ([LONG, "1"], pl.String(), []),
        (["1,234", "12,345,678"], pl.Int64(), ['thousands=","']),
        (["1,234.5", "2.5"], pl.Float64(), ['thousands=","']),
        (["1,5", "2,25"], pl.Float64(), ["decimal_comma=True"]),
        (["1.234,5", "2,25"], pl.Float64(), ["decimal_comma=True", 'thousands="."']),
        (["true", "FALSE"], pl.Boolean(), []),
        (["Ja", "nein"], pl.Boolean(), ['true_values=["ja", "j"]', 'false_values=["nein", "n"]']),
        (["2013-03-07"], pl.Date(), []),
        (["07.03.2013", "13.03.2013"], pl.Date(), ['format="%d.%m.%Y"']),
        (["03/07/2013", "03/13/2013"], pl.Date(), ['format="%m/%d/%Y"']),
        (["2013-03-07T12:30", "2013-03-07T12:30:01"], pl.Datetime("us"), []),
        (["2013-03-07T12:30Z"], pl.Datetime("us", "UTC"), []),
        (["03/13/2013 5:07 PM"], pl.Datetime("us"), ['format="%m/%d/%Y %I:%M %p"']),
        (["12:30"], pl.Time(), []),
        (["a", "1"], pl.String(), []),
        (["NA", "-"], pl.String(), []),
        ([None], pl.String(), []),
        ([], pl.String(), []),
    ],
)
def test_what_is_recognised_reads_all_cells(
    cells: list[str | None], dtype: pl.DataType, arguments: list[str]
) -> None:
    text = pl.Series("a", cells, dtype=pl.String)
    found = written_type(text, "csv")
    assert (found.dtype, [*text_arguments(found.text)], found.doubt) == (dtype, arguments, "")
    source, values = read_text(text, found.dtype, found.text)
    assert values.null_count() == source.null_count()


def test_what_could_be_read_otherwise_is_said() -> None:
    days = written_type(pl.Series(["07/03/2013", "08/03/2013"]), "csv")
    assert days.text.formats == ("%d/%m/%Y",)
    assert days.doubt == 'format="%m/%d/%Y"'
    same = written_type(pl.Series(["03/03/2013"]), "csv")
    assert same.doubt == ""
    assert written_type(pl.Series(["1,234"]), "csv").doubt == ""


def test_text_of_json_is_no_number() -> None:
    assert written_type(pl.Series(["1"]), "json", numbers=False).dtype == pl.String()
    found = written_type(pl.Series(["2013-03-07"]), "json", numbers=False)
    values = read_text(pl.Series(["2013-03-07"]), found.dtype, found.text)[1]
    assert values.to_list() == [date(2013, 3, 7)] != [datetime(2013, 3, 7)]
