"""How the text files of an ingest are read."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.declaration import DeclaredContract
from tidemill.core.errors import DeclarationError
from tidemill.sources.reader_digest import text_reading
from tidemill.sources.text_files import (
    READING,
    cells_of,
    may_read_text,
    parsed_columns,
    reading_problems,
    text_contract,
)
from tidemill.workflow.source import Files, files, sql


class Readings(DeclaredContract):
    n = tm.Int64(source="N")
    x = tm.Float64(decimal_comma=True)
    d = tm.Date()
    b = tm.Bool()
    s = tm.String()


SPEC = Readings.__tidemill_contract__


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (files("a/*.csv"), True),
        (files("a/*.JSONL"), True),
        (files("a/*"), True),
        (files("a/*.parquet"), False),
        (files("a/*.arrow"), False),
        (files("a/*", format="parquet"), False),
        (files("a/*.gz", format="csv"), True),
    ],
)
def test_files_that_may_be_text(source: Files[object], text: bool) -> None:
    assert may_read_text(source) is text
    assert cells_of("ndjson" if text else "parquet") == ("json" if text else "")
    assert text_reading(source) == (READING if text else "")
    assert text_reading(sql("SELECT 1", "sqlite:///a.db")) == ""


def test_the_formats_of_columns_and_of_files_are_one() -> None:
    source = files(
        "*.csv", null_values={"N": "-"}, true_values="ja", date_format="%Y", time_zone="UTC"
    )
    spec = text_contract(SPEC, source, "csv")
    assert spec is text_contract(SPEC, source, "csv")
    assert text_contract(SPEC, source, "") is SPEC
    text = {column.name: column.text for column in spec.columns}
    assert text["n"].null_values == ("-",)
    assert (text["x"].decimal_comma, text["x"].true_values, text["x"].null_values) == (
        True,
        None,
        None,
    )
    assert text["d"].formats == ("%Y",)
    assert text["b"].true_values == ("ja",)
    assert {form.cells for form in text.values()} == {"csv"}
    assert parsed_columns(spec) == []
    plain = text_contract(SPEC, files("*.csv"), "csv")
    assert [column.name for column in parsed_columns(plain)] == ["n"]


def test_contradictions_between_files_and_columns() -> None:
    found = list(reading_problems(SPEC, files("*.csv", thousands=",", date_format="Y")))
    assert found == [
        "x: thousands=',' is also the decimal separator: choose another separator",
        "d: date_format='Y' is not a format of times, such as '%d.%m.%Y'",
    ]
    (problem,) = reading_problems(SPEC, sql("SELECT 1", "sqlite:///a.db"))
    assert problem.startswith("n: source='N' names a column of files; name it in the query")


@pytest.mark.parametrize(
    "wrong", [{"null_values": 1}, {"date_format": [1]}, {"time_zone": "Mars"}, {"time_zone": 1}]
)
def test_arguments_of_another_type(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=next(iter(wrong))):
        files("*.csv", **wrong)
