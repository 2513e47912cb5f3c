"""What a partition's profile says, and that merging parts says the same as looking at the whole."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.partition_profile import compare, merge, profile_of
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.contracts.profiles.text_columns import LISTED, LONG

HUGE = 2**63 - 1


def one(values: list[Any], dtype: Any, grid: Grid | None = None) -> ColumnProfile:
    grids = {} if grid is None else {"x": grid}
    return profile_of(pl.DataFrame({"x": values}, schema={"x": dtype}), grids)["x"]


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
    assert (column.nulls, column.nans, column.missing, column.present) == (1, 1, 2, 1)
    assert column.mean == 1.0
    assert column.variance is None


def test_infinities_are_counted_and_kept_out_of_the_moments() -> None:
    column = one([1.0, 3.0, math.inf, -math.inf], pl.Float64)
    assert (column.finite, column.mean, column.variance) == (2, 2.0, 2.0)
    assert column.distinct == 4


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_integers_too_large_for_a_float_are_told_apart(dtype: Any) -> None:
    assert one([HUGE - n for n in range(50)], dtype).distinct == 50


@pytest.mark.parametrize("values", [[5, 5, 5], [0, 0], [HUGE, HUGE], [-HUGE]])
def test_equal_values_have_a_grid(values: list[int]) -> None:
    column = one(values, pl.Int64)
    assert column.histogram is not None
    assert column.histogram.grid.scale > 0
    assert column.m2 == 0.0


def test_a_column_without_values_has_no_grid() -> None:
    assert one([None], pl.Float64).histogram is None
    assert profile_of(pl.DataFrame({"x": [None]}, schema={"x": pl.Int8})).grids == {}


def test_a_grid_that_is_given_is_used() -> None:
    grid = Grid(center=100.0, scale=7.0)
    column = one([1, 2], pl.Int64, grid)
    assert column.histogram is not None
    assert column.histogram.grid == grid


def test_the_most_frequent_are_listed() -> None:
    column = one(["a"] * 3 + ["b"] * 2 + [f"{n}" for n in range(LISTED)], pl.String)
    assert column.categories is not None
    assert column.categories.counts == {"a": 3, "b": 2}
    assert (column.categories.others, column.categories.missed) == (LISTED, 1)


def test_categories_that_fit_are_all_listed() -> None:
    column = one(["b", "a", "c", "c"], pl.Categorical)
    assert column.categories is not None
    assert list(column.categories.counts.items()) == [("c", 2), ("a", 1), ("b", 1)]
    assert (column.categories.others, column.categories.missed) == (0, 0)


def test_a_long_text_is_no_category() -> None:
    column = one(["x" * (LONG + 1)] * 2 + ["a"] * 3 + ["b"], pl.String)
    assert column.categories is not None
    assert column.categories.counts == {"a": 3}
    assert (column.categories.others, column.categories.missed) == (3, 2)
    assert column.most == "x" * LONG


NUMBERS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, math.inf, math.nan]))
INTEGERS = st.one_of(st.none(), st.integers(-HUGE, HUGE), st.integers(-3, 3))
TEXTS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "b"]))
ROWS = st.tuples(NUMBERS, INTEGERS, TEXTS, st.lists(INTEGERS, max_size=3))
SCHEMA: dict[str, Any] = {"f": pl.Float64, "i": pl.Int64, "s": pl.String, "l": pl.List(pl.Int64)}


def frame(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row", strict=False)


@given(st.lists(ROWS, max_size=60), st.lists(ROWS, max_size=60), st.lists(ROWS, max_size=60))
def test_merged_parts_are_the_whole(first: list[Any], second: list[Any], third: list[Any]) -> None:
    whole = profile_of(frame(first + second + third))
    parts = [profile_of(frame(rows), whole.grids) for rows in (first, second, third)]
    left, right = merge([merge(parts[:2]), parts[2]]), merge([parts[0], merge(parts[1:])])
    for column, other, expected in zip(left.columns, right.columns, whole.columns, strict=True):
        assert_same(column, other)
        assert_same(column, expected)
    assert left.rows == whole.rows


def assert_same(column: ColumnProfile, expected: ColumnProfile) -> None:
    """Equal in all that is exact; moments up to rounding, categories up to what is missed."""
    for name in ("rows", "nulls", "nans", "least", "most", "finite", "histogram"):
        assert getattr(column, name) == getattr(expected, name), name
    assert column.distinct == expected.distinct
    assert column.lengths == expected.lengths
    if math.isfinite(expected.m2) and math.isfinite(column.m2):
        assert column.mean == pytest.approx(expected.mean, rel=1e-6, abs=math.sqrt(expected.m2))
    if expected.categories is not None:
        assert column.categories is not None
        for name, count in expected.categories.counts.items():
            listed = column.categories.counts.get(name, 0)
            assert listed <= count <= listed + column.categories.missed


@given(st.lists(ROWS, max_size=100), st.integers(0, 100))
def test_equal_rows_have_equal_profiles(rows: list[Any], at: int) -> None:
    """However the rows lie in memory, and in whichever order they are."""
    whole = frame(rows)
    cut = pl.concat([whole[:at], whole[at:]], rechunk=False)
    assert repr(profile_of(cut)) == repr(profile_of(whole))
    assert profile_of(whole.reverse())["s"] == profile_of(whole)["s"]


def test_columns_of_some_parts_are_merged_of_those() -> None:
    both = merge([profile_of(pl.DataFrame({"a": [1]})), profile_of(pl.DataFrame({"b": [1, 2]}))])
    assert (both.rows, both["a"].rows, both["b"].rows) == (3, 1, 2)


def test_a_column_that_changed_its_type_keeps_what_both_have() -> None:
    both = merge(
        [profile_of(pl.DataFrame({"a": [1]})), profile_of(pl.DataFrame({"a": ["x", "y"]}))]
    )
    column = both["a"]
    assert (column.rows, column.distinct) == (3, 3)
    assert (column.least, column.histogram, column.categories) == (None, None, None)


def test_of_lists_and_numbers_the_number_of_values_is_unknown() -> None:
    parts = [pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [[1]]})]
    assert merge([profile_of(part) for part in parts])["a"].distinct is None


def test_extremes_of_decimals_merge_by_value() -> None:
    parts = [one([Decimal(text)], pl.Decimal(10, 2)) for text in ("9", "10")]
    merged = merge([Profile(rows=1, columns=(part,)) for part in parts])["x"]
    assert (merged.least, merged.most) == ("9.00", "10.00")


def test_only_columns_that_both_have_are_compared() -> None:
    old, new = profile_of(pl.DataFrame({"a": [1], "b": [1]})), profile_of(pl.DataFrame({"b": [1]}))
    assert [found.name for found in compare(old, new)] == ["b"]
    assert compare(old, new)[0].ks == 0
