"""Bins by asinh: where values fall, how histograms merge and move to another grid."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.histogram import (
    INFINITE,
    LAST,
    LENGTHS,
    assign_bins,
    bins_of,
    counts_of,
    edges_of,
    grid_of,
    histogram_of,
    merge_histograms,
    move_to_grid,
    quantile,
)
from tidemill.contracts.profiles.record import Grid

UNIT = Grid(center=0.0, scale=1.0)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.lists(st.floats(-1e300, 1e300) | st.sampled_from([math.inf, -math.inf]), max_size=50)
GRIDS = st.builds(
    lambda center, scale: Grid(center=center, scale=scale),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
)


@pytest.mark.parametrize(
    ("values", "center", "scale"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, 2.0 / 1.349),
        # Half of them are equal: the standard deviation.
        ([0.0, 0.0, 0.0, 0.0, 10.0], 0.0, 4.0),
        # All are.
        ([500.0, 500.0], 500.0, 0.5),
        ([0.0], 0.0, 1.0),
        # Too far apart for a float.
        ([-1.7e308, 1.7e308], 1.7e308, 1.7e305),
        ([math.inf], 0.0, 1.0),
        # Infinities and NaN have no part in it.
        ([math.inf, 7.0, math.nan, -math.inf], 7.0, 0.007),
    ],
)
def test_the_grid_of_values(values: list[float], center: float, scale: float) -> None:
    grid = grid_of(np.array(values))
    assert grid is not None
    assert grid.center == center
    assert grid.scale == pytest.approx(scale)


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_without_values_there_is_no_grid(values: list[float]) -> None:
    assert grid_of(np.array(values, dtype=np.float64)) is None


def test_bins_are_those_of_the_formula() -> None:
    values = np.array([0.0, 0.019, 0.021, -0.001, 10.0, -10.0])
    expected = [math.floor(50 * math.asinh(value)) for value in values]
    assert assign_bins(values, UNIT).tolist() == expected == [0, 0, 1, -1, 149, -150]


def test_each_length_up_to_50_has_a_bin() -> None:
    assert len(set(assign_bins(np.arange(50.0), LENGTHS).tolist())) == 50


def test_infinities_have_bins_beyond_the_greatest_number() -> None:
    greatest = np.finfo(np.float64).max
    values = np.array([-math.inf, -greatest, greatest, math.inf])
    fine = Grid(center=0.0, scale=1e-9)
    assert assign_bins(values, fine).tolist() == [-INFINITE, -LAST, LAST, INFINITE]


@given(NUMBERS, GRIDS)
def test_values_lie_within_the_edges_of_their_bins(values: list[float], grid: Grid) -> None:
    held = histogram_of(np.array(values, dtype=np.float64), grid)
    low, high = edges_of(held)
    assert counts_of(held).sum() == len(values)
    assert (np.diff(bins_of(held)) > 0).all()
    for value in values:
        if math.isinf(value):
            assert value in low
            continue
        slack = 1e-9 * (abs(value - grid.center) + grid.scale) + 1e-12 * abs(value)
        assert ((low - slack <= value) & (value <= high + slack)).any()


@given(st.lists(FINITE, min_size=1, max_size=50), GRIDS, GRIDS)
def test_moved_to_another_grid_no_count_is_off_by_more_than_the_blur(
    values: list[float], grid: Grid, other: Grid
) -> None:
    numbers = np.array(values)
    moved = move_to_grid(histogram_of(numbers, grid), other)
    straight = histogram_of(numbers, other)
    assert moved.grid == other
    for edge in {*bins_of(moved).tolist(), *bins_of(straight).tolist()}:
        below = [counts_of(held)[bins_of(held) < edge].sum() for held in (moved, straight)]
        assert abs(int(below[0]) - int(below[1])) <= moved.blur


def test_the_least_floats_are_apart_from_minus_infinity() -> None:
    least = -1.7694064958454636e308
    held = histogram_of(np.array([-math.inf, least, -sys.float_info.max]), UNIT)
    assert counts_of(held).tolist() == [1, 2]
    low, high = edges_of(held)
    assert low[1] <= -sys.float_info.max < least < high[1]
    other = Grid(center=0.0, scale=2.0)
    assert counts_of(move_to_grid(held, other)).tolist() == [1, 2]


def test_on_its_own_grid_nothing_moves() -> None:
    held = histogram_of(np.array([1.0, 2.0]), UNIT)
    assert move_to_grid(held, UNIT) is held


def test_infinities_stay_what_they_are_on_any_grid() -> None:
    held = histogram_of(np.array([math.inf, -math.inf, 0.0]), UNIT)
    moved = move_to_grid(held, Grid(center=5.0, scale=3.0))
    assert bins_of(moved)[[0, -1]].tolist() == [-INFINITE, INFINITE]


def test_parts_from_another_grid_are_merged_and_told() -> None:
    other = Grid(center=1.0, scale=2.0)
    values = np.linspace(-3, 3, 1000)
    merged = merge_histograms([histogram_of(values, UNIT), histogram_of(values, other)])
    assert merged.grid == UNIT
    assert counts_of(merged).sum() == 2000
    assert 0 < merged.blur < 20


def test_the_median_is_found_to_within_its_bin() -> None:
    held = histogram_of(np.arange(1001.0), Grid(center=500.0, scale=370.0))
    assert quantile(held, 0.5) == pytest.approx(500, abs=8)
    assert quantile(held, 1.0) == pytest.approx(1000, rel=0.02)
    assert quantile(histogram_of(np.empty(0), UNIT), 0.5) is None


@pytest.mark.parametrize("count", [1, 255, 256, 65_535, 65_536])
def test_counts_are_as_narrow_as_they_can_be(count: int) -> None:
    held = histogram_of(np.zeros(count), UNIT)
    assert counts_of(held).tolist() == [count]
    assert len(held.counts) == (1 if count < 256 else 2 if count < 65_536 else 4)
