"""Cells of cases as columns of a contract."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import tidemill as tm
from tidemill.cases.cell_values import (
    CellError,
    cell_text,
    comparable_cells,
    source_table,
    typed_table,
)
from tidemill.cases.stage_case import GivenTable


def spec_of(column: Any) -> Any:
    contract: Any = type("Made", (tm.Contract,), {"x": column, "__module__": __name__})
    return contract.__tidemill_contract__


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (tm.Int64(), 3, 3),
        (tm.Int64(), "3", 3),
        (tm.UInt8(), 255, 255),
        (tm.Float64(), 3, 3.0),
        (tm.Float32(), 0.5, 0.5),
        (tm.Float64(), "1e3", 1000.0),
        (tm.Float64(), math.inf, math.inf),
        (tm.Bool(), True, True),
        (tm.Bool(), "true", True),
        (tm.String(), "007", "007"),
        (tm.String(), "", ""),
        (tm.Categorical(), "a", "a"),
        (tm.Enum(["a", "b"]), "b", "b"),
        (tm.Decimal(10, 2), 3, Decimal("3.00")),
        (tm.Decimal(10, 2), 0.25, Decimal("0.25")),
        (tm.Decimal(10, 2), "0.25", Decimal("0.25")),
        (tm.Date(), date(2026, 1, 5), date(2026, 1, 5)),
        (tm.Date(), "2026-01-05", date(2026, 1, 5)),
        (tm.Date(), datetime(2026, 1, 5), date(2026, 1, 5)),
        (tm.Datetime(), datetime(2026, 1, 5, 3), datetime(2026, 1, 5, 3)),
        (tm.Datetime(), date(2026, 1, 5), datetime(2026, 1, 5)),
        (tm.Datetime(), "2026-01-05T03:00:00", datetime(2026, 1, 5, 3)),
        (
            tm.Datetime(time_zone="Europe/Berlin"),
            datetime(2026, 1, 5, 3),
            datetime(2026, 1, 5, 3, tzinfo=BERLIN),
        ),
        (
            tm.Datetime(time_zone="Europe/Berlin"),
            datetime(2026, 1, 5, 3, tzinfo=UTC),
            datetime(2026, 1, 5, 4, tzinfo=BERLIN),
        ),
        (
            tm.Datetime(time_zone="Europe/Berlin"),
            "2026-01-05T03:00:00Z",
            datetime(2026, 1, 5, 4, tzinfo=BERLIN),
        ),
        (tm.Time(), time(3, 4), time(3, 4)),
        (tm.Duration(), timedelta(hours=1), timedelta(hours=1)),
        (tm.Duration(), "90s", timedelta(seconds=90)),
        (tm.Binary(), "ab", b"ab"),
        (tm.Binary(), b"ab", b"ab"),
        (tm.List(tm.Int64()), [1, None], [1, None]),
        (tm.List(tm.Float64()), [1, 2.5], [1.0, 2.5]),
        (tm.List(tm.Int64()), "[1, 2]", [1, 2]),
        (tm.Array(tm.Float64(), 2), [1, 2], [1.0, 2.0]),
        (tm.Struct({"a": tm.Int64(), "b": tm.String()}), {"a": 1}, {"a": 1, "b": None}),
    ],
)
def test_cells_become_values_of_their_type(column: Any, cell: Any, value: Any) -> None:
    spec = spec_of(column)
    found = typed_table(GivenTable(rows=({"x": cell}, {"x": None})), spec)
    assert found["x"].to_list() == [value, None]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (tm.Int64(), 1.5),
        (tm.Int64(), "x"),
        (tm.Int64(), True),
        (tm.UInt8(), 256),
        (tm.Bool(), 1),
        (tm.String(), 3),
        (tm.Enum(["a"]), "b"),
        (tm.Date(), datetime(2026, 1, 5, 3)),
        (tm.Date(), "05.01.2026"),
        (tm.Datetime(time_zone="Europe/Berlin"), "2026-01-05T03:00:00"),
        (tm.Duration(), "soon"),
        (tm.Duration(), 3.5),
        (tm.List(tm.Int64()), 3),
        (tm.List(tm.Int64()), ["x"]),
        (tm.Struct({"a": tm.Int64()}), {"b": 1}),
        (tm.Array(tm.Int64(), 2), [1]),
    ],
)
def test_other_cells_are_named(column: Any, cell: Any) -> None:
    with pytest.raises(CellError, match=r"x = .* is no "):
        typed_table(GivenTable(rows=({"x": None}, {"x": cell})), spec_of(column))


def test_the_row_of_a_wrong_cell_is_named() -> None:
    with pytest.raises(CellError, match="row 2: x = 'a' is no Int64"):
        typed_table(GivenTable(rows=({"x": "1"}, {"x": "a"})), spec_of(tm.Int64()))
    frame = pl.DataFrame({"x": ["1", "a"]})
    with pytest.raises(CellError, match="row 2"):
        typed_table(GivenTable(frame=frame), spec_of(tm.Int64()))
    with pytest.raises(CellError, match=r"row 1: x = '<obj.* is no Int64"):
        typed_table(GivenTable(frame=pl.DataFrame({"x": [object()]})), spec_of(tm.Int64()))


def test_mixed_texts_and_values() -> None:
    found = typed_table(GivenTable(rows=({"x": "3"}, {"x": 4}, {})), spec_of(tm.Int64()))
    assert found["x"].to_list() == [3, 4, None]


def test_columns_that_no_row_names() -> None:
    spec = spec_of(tm.Int64())
    assert typed_table(GivenTable(rows=({}, {})), spec).shape == (2, 0)
    assert typed_table(GivenTable(rows=()), spec, ["x"]).schema == {"x": pl.Int64}
    assert typed_table(GivenTable(frame=pl.DataFrame(height=2)), spec, ["x"])["x"].to_list() == [
        None,
        None,
    ]


def test_cells_of_a_csv_are_read_as_a_file_is() -> None:
    spec = spec_of(tm.Int64())
    table = GivenTable(rows=({"x": " 3"},), is_text=True)
    assert typed_table(table, spec)["x"].to_list() == [3]
    with pytest.raises(CellError):
        typed_table(GivenTable(rows=({"x": " 3"},)), spec)


def test_frames_of_other_types_are_cast() -> None:
    frame = pl.DataFrame({"x": pl.Series([1, 2], dtype=pl.Int8)})
    assert typed_table(GivenTable(frame=frame), spec_of(tm.Int64()))["x"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        ([1, None], pl.Int64, [1, None]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        (["a", "b"], pl.String, ["a", "b"]),
        ([None, None], pl.String, [None, None]),
        ([1, "x", True, None], pl.String, ["1", "x", "true", None]),
        ([2**70, 1], pl.Int128, [2**70, 1]),
        ([2**200, 1], pl.String, [str(2**200), "1"]),
        ([[1], [2]], pl.List(pl.Int64), [[1], [2]]),
    ],
)
def test_a_source_has_what_is_written(cells: list[Any], dtype: Any, values: list[Any]) -> None:
    found = source_table(GivenTable(rows=tuple({"x": cell} for cell in cells)))
    assert found["x"].dtype == dtype
    assert found["x"].to_list() == values


def test_a_source_may_have_no_columns() -> None:
    assert source_table(GivenTable(rows=({},))).shape == (1, 0)
    frame = pl.DataFrame({"x": [1]})
    assert source_table(GivenTable(frame=frame)) is frame


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1.0, "1"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (math.nan, "nan"),
        ([1.0, None], "[1, null]"),
        (pl.Series([1]), "[1]"),
        ({"a": 1, "b": None}, "{a: 1, b: null}"),
        (b"ab", "ab"),
        (b"\xff", "ff"),
        (date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_cells_as_text(value: Any, text: str) -> None:
    assert cell_text(value) == text


def test_nanoseconds_are_compared() -> None:
    moments = pl.Series([1, None]).cast(pl.Datetime("ns"))
    assert comparable_cells(moments) == [1, None]
    assert comparable_cells(pl.Series(["a"], dtype=pl.Enum(["a"]))) == ["a"]
    assert comparable_cells(pl.Series([1])) == [1]


def test_a_source_has_types_that_people_can_not_write() -> None:
    spec = spec_of(tm.Array(tm.Float32(), 2))
    assert source_table(GivenTable(rows=({"x": [1, 2]},)), spec)["x"].dtype == pl.Array(
        pl.Float32, 2
    )
    assert source_table(GivenTable(rows=({"x": [1]},)), spec)["x"].dtype == pl.List(pl.Int64)
    assert (
        source_table(GivenTable(rows=({"x": "[1]"},), is_text=True), spec)["x"].dtype == pl.String
    )
    assert source_table(GivenTable(rows=({"x": 1, "y": 2},)), spec_of(tm.Int64())).width == 2
