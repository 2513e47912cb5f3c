"""Lists and structs in JSON text: each item is a value of its declared type, or the cell is none."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.checks.json_cells import nested_values

DAY, NOON = date(2013, 3, 7), datetime(2013, 3, 7, 12)


@pytest.mark.parametrize(
    ("inner", "item", "value"),
    [
        (pl.Int8(), "127", 127),
        (pl.Int8(), "128", None),
        (pl.UInt8(), "-1", None),
        (pl.UInt64(), "18446744073709551615", 18446744073709551615),
        (pl.Int64(), "1.0", None),
        (pl.Int64(), "true", None),
        (pl.Float64(), "1", 1.0),
        (pl.Float64(), "0.1", 0.1),
        (pl.Float64(), '"0.1"', None),
        (pl.Float64(), "1e400", None),
        (pl.Float64(), "-1e400", None),
        (pl.Float64(), "1e-400", 0.0),
        (pl.Float32(), "1e300", None),
        (pl.Float32(), "-1e300", None),
        # The greatest number, one that is rounded to it, and one that isn't.
        (pl.Float32(), "3.4028234663852886e38", 3.4028234663852886e38),
        (pl.Float32(), "3.40282350e38", 3.4028234663852886e38),
        (pl.Float32(), "3.4028236e38", None),
        (pl.Decimal(5, 2), "1.10", Decimal("1.10")),
        (pl.Decimal(5, 2), "1.105", None),
        (pl.Decimal(5, 2), "1000", None),
        (pl.String(), '"a"', "a"),
        (pl.String(), "1", None),
        (pl.String(), r'"\ud800"', None),
        (pl.Enum(["a"]), '"a"', "a"),
        (pl.Enum(["a"]), '"b"', None),
        (pl.Boolean(), "true", True),
        (pl.Boolean(), "1", None),
        (pl.Date(), '"2013-03-07"', DAY),
        (pl.Date(), '"7.3.2013"', None),
        (pl.Time(), '"12:00"', time(12)),
        (pl.Time(), '"10:00+01:00"', None),
        (pl.Time(), '"10:00Z"', None),
        (pl.Time(), '"10:00:00.123456"', time(10, 0, 0, 123456)),
        (pl.Time(), '"10:00:00.1234567890"', time(10, 0, 0, 123456)),
        (pl.Time(), '"10:00:00.1234567891"', None),
        (pl.Time(), '"10:00.5"', None),
        (pl.Datetime("us"), '"2013-03-07T12:00"', NOON),
        (pl.Datetime("ms"), '"2013-03-07T12:00:00.120000"', NOON.replace(microsecond=120_000)),
        (pl.Datetime("ms"), '"2013-03-07T12:00:00.123456"', None),
        (pl.Datetime("us"), '"2013-03-07T12:00:00,123456"', NOON.replace(microsecond=123456)),
        (pl.Datetime("us"), '"20130307T120000.5"', NOON.replace(microsecond=500_000)),
        (pl.Datetime("us"), '"20130307T1200.5"', None),
        (pl.Datetime("us"), '"20130307.5"', None),
        (pl.Datetime("us"), '"2013-03-07T12:00:00.1234567"', None),
        (
            pl.Datetime("us"),
            '"1969-12-31T23:59:59.999999"',
            datetime(1969, 12, 31, 23, 59, 59, 999999),
        ),
        (pl.Datetime("ns"), '"9999-01-01T00:00:00"', None),
        (pl.Datetime("ns"), '"1500-01-01T00:00:00"', None),
        (pl.Datetime("us"), '"9999-12-31T23:59:59"', datetime(9999, 12, 31, 23, 59, 59)),
        (pl.Datetime("us", "UTC"), '"0001-01-01T00:00:00+14:00"', None),
        (
            pl.Datetime("us", "UTC"),
            '"2013-03-07T13:00:00.5+01:00"',
            NOON.replace(microsecond=500_000, tzinfo=UTC),
        ),
        (pl.Datetime("us", "UTC"), '"2013-03-07T13:00:00+01:00:00.5"', None),
        (pl.Datetime("us", "UTC"), '"2013-03-07T07:00:00-05:00:00.5"', None),
        (pl.Datetime("us"), '"2013-03-07T12:00Z"', None),
        (pl.Datetime("us", "UTC"), '"2013-03-07T12:00Z"', NOON.replace(tzinfo=UTC)),
        (pl.Binary(), '"a"', None),
        (pl.List(pl.Int8), "[1]", [1]),
        (pl.Struct({"x": pl.Int8, "y": pl.Int8}), '{"y": 2}', {"x": None, "y": 2}),
        (pl.Struct({"x": pl.Int8}), '{"z": 2}', None),
        (pl.Array(pl.Int8, 2), "[1, 2]", [1, 2]),
        (pl.Array(pl.Int8, 2), "[1]", None),
    ],
    ids=str,
)
def test_items(inner: pl.DataType, item: str, value: Any) -> None:
    text = pl.Series("a", [f"[{item}]", "[null]", "[]", None, "1", "[", item])
    found = nested_values(text, pl.List(inner))
    expected = None if value is None else [value]
    assert found.to_list()[:6] == [expected, [None], [], None, None, None]
    assert (found.name, found.dtype) == ("a", pl.List(inner))


@pytest.mark.parametrize("dtype", [pl.List(pl.Datetime("ns")), pl.List(pl.Time)], ids=str)
def test_nanoseconds_are_kept(dtype: pl.DataType) -> None:
    moment = "2013-03-07T" if dtype == pl.List(pl.Datetime("ns")) else ""
    found = nested_values(pl.Series("a", [f'["{moment}10:00:00.123456789"]']), dtype)
    assert found.explode().cast(pl.Int64).item() % 10**9 == 123456789


def test_both_hours_of_the_night_in_which_clocks_go_back_are_kept() -> None:
    dtype = pl.Struct({"at": pl.Array(pl.Datetime("ms", "Europe/Berlin"), 2)})
    text = '{"at": ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"]}'
    found = nested_values(pl.Series("a", [text]), dtype)
    (first, second) = found.struct.field("at").explode().cast(pl.Int64)
    assert second - first == 3_600_000


@pytest.mark.parametrize("item", ["[", '{"a":'])
def test_a_deeply_nested_cell_is_no_value(item: str) -> None:
    text = pl.Series("a", [item * 200_000, "[1]"])
    assert nested_values(text, pl.List(pl.Int8)).to_list() == [None, [1]]


@given(st.datetimes(), st.sampled_from(["ms", "us", "ns"]), st.booleans())
def test_a_moment_is_read_exactly_or_not_at_all(
    moment: datetime, unit: Literal["ms", "us", "ns"], wide: bool
) -> None:
    written = moment.isoformat() + ("000" if wide and moment.microsecond else "")
    found = nested_values(pl.Series("a", [f'["{written}"]']), pl.List(pl.Datetime(unit))).item()
    held = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    fits = unit != "ns" or abs(held) < 2**63 // 1000
    exact = unit != "ms" or moment.microsecond % 1000 == 0
    assert found is None or found.to_list() == [moment]
    assert (found is not None) == (fits and exact)
