"""Profile partitions, and check that merged parts equal the profile of the whole."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.partition_profile import (
    compare_profiles,
    merge_profiles,
    profile_frame,
)
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile
from tidemill.contracts.profiles.text_columns import MAX_CATEGORIES, MAX_CATEGORY_BYTES

HUGE = 2**63 - 1


def one(values: list[Any], dtype: Any, grid: Grid | None = None) -> ColumnProfile:
    grids = {} if grid is None else {"x": grid}
    return profile_frame(pl.DataFrame({"x": values}, schema={"x": dtype}), grids)["x"]


@pytest.mark.parametrize("values", [[5, 5, 5], [0, 0], [HUGE, HUGE], [-HUGE]])
def test_equal_values_have_a_grid(values: list[int]) -> None:
    column = one(values, pl.Int64)
    assert column.histogram is not None
    assert column.histogram.grid.scale > 0
    assert column.m2 == 0.0


def test_a_column_without_values_has_no_grid() -> None:
    assert one([None], pl.Float64).histogram is None
    assert profile_frame(pl.DataFrame({"x": [None]}, schema={"x": pl.Int8})).grids == {}


def test_a_grid_that_is_given_is_used() -> None:
    grid = Grid(center=100.0, scale=7.0)
    column = one([1, 2], pl.Int64, grid)
    assert column.histogram is not None
    assert column.histogram.grid == grid


def test_the_most_frequent_are_listed() -> None:
    column = one(["a"] * 3 + ["b"] * 2 + [f"{n}" for n in range(MAX_CATEGORIES)], pl.String)
    assert column.categories is not None
    assert column.categories.counts == {"a": 3, "b": 2}
    assert (column.categories.others, column.categories.missed) == (MAX_CATEGORIES, 1)


def test_categories_that_fit_are_all_listed() -> None:
    column = one(["b", "a", "c", "c"], pl.Categorical)
    assert column.categories is not None
    assert list(column.categories.counts.items()) == [("c", 2), ("a", 1), ("b", 1)]
    assert (column.categories.others, column.categories.missed) == (0, 0)


def test_a_long_text_is_no_category() -> None:
    column = one(["x" * (MAX_CATEGORY_BYTES + 1)] * 2 + ["a"] * 3 + ["b"], pl.String)
    assert column.categories is not None
    assert column.categories.counts == {"a": 3}
    assert (column.categories.others, column.categories.missed) == (3, 2)
    assert column.most == "x" * MAX_CATEGORY_BYTES


NUMBERS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, 1.0, math.inf, math.nan]))
INTEGERS = st.one_of(st.none(), st.integers(-HUGE, HUGE), st.integers(-3, 3))
TEXTS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "b"]))
ROWS = st.tuples(NUMBERS, INTEGERS, TEXTS, st.lists(INTEGERS, max_size=3))
SCHEMA: dict[str, Any] = {"f": pl.Float64, "i": pl.Int64, "s": pl.String, "l": pl.List(pl.Int64)}


def frame(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row", strict=False)


@given(st.lists(ROWS, max_size=60), st.lists(ROWS, max_size=60), st.lists(ROWS, max_size=60))
def test_merged_parts_are_the_whole(first: list[Any], second: list[Any], third: list[Any]) -> None:
    whole = profile_frame(frame(first + second + third))
    parts = [profile_frame(frame(rows), whole.grids) for rows in (first, second, third)]
    left, right = (
        merge_profiles([merge_profiles(parts[:2]), parts[2]]),
        merge_profiles([parts[0], merge_profiles(parts[1:])]),
    )
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
    assert repr(profile_frame(cut)) == repr(profile_frame(whole))
    assert profile_frame(whole.reverse())["s"] == profile_frame(whole)["s"]


def test_columns_of_some_parts_are_merged_of_those() -> None:
    both = merge_profiles(
        [profile_frame(pl.DataFrame({"a": [1]})), profile_frame(pl.DataFrame({"b": [1, 2]}))]
    )
    assert (both.rows, both["a"].rows, both["b"].rows) == (3, 1, 2)


def test_a_column_that_changed_its_type_keeps_what_both_have() -> None:
    both = merge_profiles(
        [profile_frame(pl.DataFrame({"a": [1]})), profile_frame(pl.DataFrame({"a": ["x", "y"]}))]
    )
    column = both["a"]
    assert (column.rows, column.distinct) == (3, 3)
    assert (column.least, column.histogram, column.categories) == (None, None, None)


def test_of_lists_and_numbers_the_number_of_values_is_unknown() -> None:
    parts = [pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [[1]]})]
    assert merge_profiles([profile_frame(part) for part in parts])["a"].distinct is None


def test_extremes_of_decimals_merge_by_value() -> None:
    parts = [one([Decimal(text)], pl.Decimal(10, 2)) for text in ("9", "10")]
    merged = merge_profiles([Profile(rows=1, columns=(part,)) for part in parts])["x"]
    assert (merged.least, merged.most) == ("9.00", "10.00")


def test_only_columns_that_both_have_are_compared() -> None:
    old, new = (
        profile_frame(pl.DataFrame({"a": [1], "b": [1]})),
        profile_frame(pl.DataFrame({"b": [1]})),
    )
    assert [found.name for found in compare_profiles(old, new)] == ["b"]
    assert compare_profiles(old, new)[0].ks == 0
