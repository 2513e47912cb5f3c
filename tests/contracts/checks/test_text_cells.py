"""Each cell is read alone: other cells, and where it is among them, change nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.contracts.checks.text_cells import has_infinity, read_text, without_marks
from tidemill.contracts.text_format import (
    AS_STORED,
    DAMAGED,
    NOT_UNICODE,
    SURPLUS_FIELDS,
    TextFormat,
)

CSV, JSON = TextFormat(cells="csv"), TextFormat(cells="json")
WORDS = TextFormat(cells="csv", null_values=("NA", "-1"))
BERLIN = "Europe/Berlin"
NOON = datetime(2024, 6, 1, 12)
# A type, a format, a cell, whether it is missing, and its value.
CASES: list[tuple[pl.DataType, TextFormat, str, bool, Any]] = [
    (pl.String(), CSV, " a ", False, " a "),
    (pl.String(), CSV, f"{DAMAGED}a", False, None),
    (pl.String(), AS_STORED, f"{DAMAGED}a", False, f"{DAMAGED}a"),
    (pl.String(), WORDS, "NA", True, None),
    (pl.String(), WORDS, " NA", False, " NA"),
    (pl.Enum(["a"]), CSV, "a", False, "a"),
    (pl.Enum(["a"]), CSV, f"{DAMAGED}a", False, None),
    (pl.Int64(), WORDS, "-1", True, None),
    (pl.Int64(), WORDS, " NA ", True, None),
    (pl.Int64(), WORDS, " -1", True, None),
    (pl.Int64(), CSV, "", True, None),
    (pl.Int64(), CSV, " \t", True, None),
    (pl.Int64(), AS_STORED, "", False, None),
    (pl.Int64(), AS_STORED, " 1", False, None),
    (pl.Int64(), CSV, " 1", False, 1),
    (pl.Int64(), CSV, "-0012.0", False, -12),
    (pl.Int64(), CSV, "12345678901234567.00", False, 12345678901234567),
    (pl.Int64(), CSV, "1.5e1", False, 15),
    (pl.Int64(), CSV, "1e300", False, None),
    (pl.Int64(), CSV, "9007199254740993e0", False, 9007199254740993),
    (pl.Int64(), CSV, "92233720368547758070E-1", False, 2**63 - 1),
    (pl.Int64(), CSV, "9223372036854775808e0", False, None),
    (pl.Int64(), CSV, "4503599627370497.75e0", False, None),
    (pl.Int64(), CSV, "0.99999999999999999e0", False, None),
    (pl.Int64(), CSV, "2e-324", False, None),
    (pl.Int64(), CSV, "0e999", False, 0),
    (pl.Int64(), CSV, "1e99999999999999999999", False, None),
    (pl.Int64(), TextFormat(cells="csv", decimal_comma=True, thousands="."), "0.001", False, None),
    (pl.Int64(), TextFormat(cells="csv", decimal_comma=True, thousands="."), "1.001", False, 1001),
    # Polars reads the second 60 as the first one of the next minute.
    (pl.Datetime("us"), CSV, "2024-06-01T11:59:60", False, None),
    (pl.Datetime("us"), CSV, "2024-06-01 11:59:60.5", False, None),
    (pl.Datetime("us"), CSV, "1960-02-29 12:00:00", False, datetime(1960, 2, 29, 12)),
    (pl.Datetime("us"), CSV, "2024-06-01 12:00:00.60", False, NOON.replace(microsecond=600_000)),
    (pl.Date(), TextFormat(formats=("%Y-%m-%d %H:%M:%S",)), "2024-06-01 23:59:60", False, None),
    (pl.Int8(), CSV, "1e3", False, None),
    (pl.Float64(), CSV, " nan", False, "nan"),
    (pl.Float64(), TextFormat(decimal_comma=True), "-inf", False, float("-inf")),
    (pl.Float64(), CSV, " -Infinity", False, float("-inf")),
    (pl.Float64(), CSV, "1e400", False, None),
    (pl.Float64(), CSV, " -1e400", False, None),
    (pl.Float64(), AS_STORED, "1e400", False, None),
    (pl.Float64(), TextFormat(decimal_comma=True), "1,5e400", False, None),
    (pl.Float64(), CSV, "1e-400", False, 0.0),
    (pl.Float32(), CSV, "1e300", False, None),
    (pl.Float32(), CSV, "3.4028235e38", False, 3.4028234663852886e38),
    (pl.Float64(), TextFormat(decimal_comma=True), "1,5e3", False, 1500.0),
    (pl.Float64(), TextFormat(thousands="_"), "1_000.5", False, 1000.5),
    (pl.Float64(), TextFormat(thousands="_"), "1__000", False, None),
    (pl.Decimal(5, 2), CSV, " 1.5", False, Decimal("1.5")),
    (pl.Decimal(5, 2), CSV, "1e1", False, Decimal(10)),
    (pl.Decimal(5, 2), CSV, "1E-2", False, Decimal("0.01")),
    (pl.Decimal(5, 2), CSV, "1e-3", False, None),
    (pl.Decimal(5, 2), CSV, "1e3", False, None),
    (pl.Decimal(5, 2), CSV, "1e99999999", False, None),
    (pl.Decimal(5, 2), CSV, "0e-99999999", False, Decimal(0)),
    (pl.Decimal(5, 2), CSV, "1e-99999999", False, None),
    (pl.Decimal(5, 2), CSV, "-0.0e8", False, Decimal(0)),
    (pl.Decimal(5, 2), CSV, "one", False, None),
    (pl.Decimal(5, 2), CSV, "1_0e1", False, None),
    (pl.Boolean(), AS_STORED, "1", False, None),
    (pl.Boolean(), CSV, " 1 ", False, True),
    (pl.Boolean(), TextFormat(true_values=("J",)), "j", False, True),
    (pl.Boolean(), TextFormat(true_values=("J",)), "false", False, False),
    (pl.Date(), AS_STORED, "13-03-07", False, date(13, 3, 7)),
    (pl.Date(), CSV, "13-03-07", False, None),
    (pl.Date(), CSV, "0013-03-07", False, date(13, 3, 7)),
    (pl.Date(), TextFormat(formats=("%d.%m.%y", "%Y")), "2024", False, date(2024, 1, 1)),
    (
        pl.Date(),
        TextFormat(formats=("%d.%m.%Y %H:%M",)),
        "01.06.2024 00:00",
        False,
        date(2024, 6, 1),
    ),
    (pl.Date(), TextFormat(formats=("%d.%m.%Y %H:%M",)), "01.06.2024 00:01", False, None),
    (pl.Time(), CSV, "12:00", False, time(12)),
    (pl.Time(), CSV, "12:00:00.0000000001", False, None),
    (pl.Datetime("ms"), CSV, "2024-06-01 12:00:00.0005", False, None),
    (pl.Datetime("ms"), CSV, "2024-06-01 12:00:00.000000", False, NOON),
    (pl.Datetime("us"), AS_STORED, "2024-06-01 12:00", False, None),
    (pl.Datetime("us"), CSV, "2024-06-01 12:00", False, NOON),
    (pl.Datetime("us", "UTC"), CSV, "2024-06-01 12:00", False, None),
    (pl.Datetime("us", "UTC"), CSV, "2024-06-01T14:00+02:00", False, NOON.replace(tzinfo=UTC)),
    (
        pl.Datetime("us", "UTC"),
        TextFormat(cells="csv", time_zone=BERLIN),
        "2024-06-01 14:00",
        False,
        NOON.replace(tzinfo=UTC),
    ),
    (
        pl.Datetime("us", BERLIN),
        TextFormat(formats=("%d.%m.%Y %H:%M %z", "%d.%m.%Y %H:%M")),
        "01.06.2024 14:00",
        False,
        NOON.replace(tzinfo=UTC),
    ),
    (pl.List(pl.Int8), JSON, "[1]", False, [1]),
    (pl.List(pl.Int8), JSON, " [1] ", False, [1]),
    (pl.List(pl.Int8), JSON, "", True, None),
    (pl.List(pl.Int8), JSON, "[x]", False, None),
    (pl.List(pl.Int8), CSV, "[1]", False, None),
    (pl.Duration("us"), CSV, "1", False, None),
    (pl.Binary(), CSV, "a", False, None),
]


def item(series: pl.Series, row: int) -> Any:
    value = series[row]
    if isinstance(value, pl.Series):
        return value.to_list()
    return "nan" if value != value else value


@pytest.mark.parametrize(("dtype", "form", "cell", "missing", "value"), CASES, ids=str)
def test_a_cell(dtype: pl.DataType, form: TextFormat, cell: str, missing: bool, value: Any) -> None:
    source, values = read_text(pl.Series("a", [cell, None], dtype=pl.String), dtype, form)
    assert (values.name, values.dtype, source.dtype) == ("a", dtype, pl.String())
    assert (source[0] is None, item(values, 0)) == (missing, value)
    assert (source[1], values[1]) == (None, None)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_other_cells_change_nothing(data: st.DataObject) -> None:
    dtype, form, *_ = data.draw(st.sampled_from(CASES))
    own = [cell for kind, rules, cell, *_ in CASES if kind == dtype and rules == form]
    any_cell = st.one_of(
        st.none(), st.sampled_from([case[2] for case in CASES]), st.sampled_from(own)
    )
    cells = data.draw(st.lists(any_cell, min_size=1, max_size=6))
    text = pl.Series("a", cells, dtype=pl.String)
    source, values = read_text(text, dtype, form)
    assert text.to_list() == cells
    for row in range(len(cells)):
        alone = read_text(text[row : row + 1], dtype, form)
        assert repr(item(alone[1], 0)) == repr(item(values, row))
        assert alone[0][0] == source[row]


def test_a_column_without_cells() -> None:
    for dtype, form, *_ in CASES:
        for text in (pl.Series("a", [], dtype=pl.String), pl.Series("a", [None], dtype=pl.String)):
            source, values = read_text(text, dtype, form)
            assert (source.to_list(), values.to_list()) == (text.to_list(), text.to_list())
            assert values.dtype == dtype


def test_rows_without_marks_are_as_they_came() -> None:
    rows = pl.DataFrame(
        {"a": [f"{SURPLUS_FIELDS}1,2", f"{NOT_UNICODE}\\ud800", f"{DAMAGED}x", None], "b": [1] * 4}
    )
    assert without_marks(rows).to_dict(as_series=False) == {
        "a": ["1,2", "\\ud800", f"{DAMAGED}x", None],
        "b": [1] * 4,
    }
    assert without_marks(rows.select("b")).equals(rows.select("b"))


INF, MOST = float("inf"), 1.7976931348623157e308


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        ([None, 1.0], False),
        ([float("nan")], False),
        ([MOST, MOST], False),  # their sum is infinite
        ([INF], True),
        ([INF, -INF, None], True),
        ([float("nan"), -INF], True),
    ],
)
def test_infinities_are_found(values: list[float | None], expected: bool) -> None:
    assert has_infinity(pl.Series(values, dtype=pl.Float64)) is expected
