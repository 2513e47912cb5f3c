from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import ColumnProfile, Grid

HUGE = 2**63 - 1


def one(values: list[Any], dtype: Any, grid: Grid | None = None) -> ColumnProfile:
    grids = {} if grid is None else {"x": grid}
    return profile_frame(pl.DataFrame({"x": values}, schema={"x": dtype}), grids)["x"]


@pytest.mark.parametrize(
    ("values", "dtype", "least", "most"),
    [
        ([3, None, 1], pl.Int8, 1, 3),
        ([0, 2**64 - 1], pl.UInt64, 0, 2**64 - 1),
        ([-(2**100), 2**100], pl.Int128, str(-(2**100)), str(2**100)),
        ([Decimal("9.5"), Decimal("10.5")], pl.Decimal(10, 2), "9.50", "10.50"),
        ([1.5, -0.0], pl.Float32, 0.0, 1.5),
        ([math.inf, -math.inf, math.nan], pl.Float64, -math.inf, math.inf),
        ([dt.date(1970, 1, 2), dt.date(2013, 1, 1)], pl.Date, 1, 15706),
        ([dt.datetime(1970, 1, 1, 0, 0, 1)], pl.Datetime("ms", "UTC"), 1000, 1000),
        ([dt.timedelta(seconds=2)], pl.Duration("us"), 2_000_000, 2_000_000),
        ([dt.time(0, 0, 1)], pl.Time, 10**9, 10**9),
        (["b", "a", None], pl.String, "a", "b"),
        (["b", "a"], pl.Enum(["b", "a"]), None, None),
        ([True, False], pl.Boolean, False, True),
        ([b"x"], pl.Binary, None, None),
        ([None, None], pl.Int64, None, None),
        ([], pl.String, None, None),
        ([[1], []], pl.List(pl.Int64), None, None),
        ([{"a": 1}], pl.Struct({"a": pl.Int64}), None, None),
        ([None], pl.Null, None, None),
    ],
)
def test_the_extremes_are_exact(values: list[Any], dtype: Any, least: Any, most: Any) -> None:
    column = one(values, dtype)
    assert (column.least, column.most) == (least, most)
    assert column.rows == len(values)
    assert column.nulls == sum(value is None for value in values)


def test_nan_is_missing_but_no_null() -> None:
    column = one([1.0, math.nan, None], pl.Float64)
    assert (column.nulls, column.nans, column.missing_count, column.present_count) == (1, 1, 2, 1)
    assert column.mean == 1.0
    assert column.variance is None


def test_infinities_are_counted_and_kept_out_of_the_moments() -> None:
    column = one([1.0, 3.0, math.inf, -math.inf], pl.Float64)
    assert (column.finite, column.mean, column.variance) == (2, 2.0, 2.0)
    assert column.distinct == 4


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_integers_too_large_for_a_float_are_told_apart(dtype: Any) -> None:
    assert one([HUGE - n for n in range(50)], dtype).distinct == 50
