"""Distances of profiles are those of the rows, up to what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.partition_profile import (
    compare_profiles,
    merge_profiles,
    profile_frame,
)
from tidemill.contracts.profiles.record import Distance, Grid

VALUES = st.lists(
    st.one_of(st.floats(allow_nan=False), st.integers(-3, 3).map(float), st.floats(-10, 10)),
    min_size=1,
    max_size=60,
)
GRIDS = st.sampled_from(
    [None, Grid(center=0.0, scale=1.0), Grid(center=2.0, scale=30.0), Grid(center=1.0, scale=0.01)]
)


def between(
    old: Any,
    new: Any,
    dtype: Any = pl.Float64,
    *,
    grids: tuple[Grid | None, Grid | None] = (None, None),
) -> Distance:
    frames = [pl.DataFrame({"x": pl.Series(held, dtype=dtype)}) for held in (old, new)]
    first = profile_frame(frames[0], {"x": grids[0]} if grids[0] else {})
    other = {"x": grids[1]} if grids[1] else first.grids
    return compare_profiles(first, profile_frame(frames[1], other))[0]


def exact(old: Any, new: Any) -> tuple[float, float]:
    """KS statistic and Wasserstein distance of the rows."""
    sides = [np.sort(np.asarray(held, dtype=np.float64)) for held in (old, new)]
    points = np.sort(np.concatenate(sides))
    below = [np.searchsorted(side, points, side="right") / side.size for side in sides]
    apart = np.abs(below[0] - below[1])
    return float(apart.max()), float((apart[:-1] * np.diff(points)).sum())


@given(VALUES, VALUES, GRIDS, GRIDS)
def test_ks_is_as_close_as_it_says(
    old: list[float], new: list[float], grid: Grid | None, other: Grid | None
) -> None:
    found = between(old, new, grids=(grid, other))
    assert found.ks is not None
    assert found.ks_error is not None
    with np.errstate(all="ignore"):
        truth = exact(old, new)[0]
    assert abs(found.ks - truth) <= found.ks_error + 1e-9
    assert 0 <= found.ks <= 1 + 1e-9


@given(VALUES, GRIDS)
def test_equal_values_are_no_distance_apart(values: list[float], grid: Grid | None) -> None:
    found = between(values, values, grids=(grid, grid))
    assert (found.ks, found.wasserstein, found.psi, found.missing) == (0, 0, 0, 0)


def draws() -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    draw = np.random.default_rng(7)
    size = 100_000
    return [
        (draw.normal(size=size), draw.normal(0.05, 1.02, size)),
        (draw.lognormal(0, 2, size), draw.lognormal(0.1, 2, size)),
        (draw.exponential(1, size), draw.exponential(1, size) + 0.05),
        (draw.uniform(0, 1, size), draw.uniform(0, 1.1, size)),
        (draw.poisson(3, size).astype("f8"), draw.poisson(3.1, size).astype("f8")),
        (np.round(draw.normal(50, 9, size), 1), np.round(draw.normal(51, 9, size), 1)),
    ]


@pytest.mark.parametrize("number", range(6))
def test_many_values_are_compared_as_finely_as_rows(number: int) -> None:
    old, new = draws()[number]
    found = between(old, new)
    ks, moved = exact(old, new)
    assert found.ks == pytest.approx(ks, abs=0.001)
    assert found.wasserstein == pytest.approx(moved, rel=0.01)


def test_merged_parts_are_compared_like_the_whole() -> None:
    old, new = draws()[0]
    whole = profile_frame(pl.DataFrame({"x": old}))
    parts = [profile_frame(pl.DataFrame({"x": part}), whole.grids) for part in np.split(old, 4)]
    other = profile_frame(pl.DataFrame({"x": new}), whole.grids)
    one, merged = (
        compare_profiles(whole, other)[0],
        compare_profiles(merge_profiles(parts), other)[0],
    )
    assert (one.ks, one.wasserstein, one.psi) == (merged.ks, merged.wasserstein, merged.psi)


def test_another_grid_is_compared_and_its_error_told() -> None:
    old, new = draws()[0]
    same = between(old, new)
    other = between(old, new, grids=(None, Grid(center=3.0, scale=5.0)))
    assert same.ks_error is not None
    assert other.ks_error is not None
    assert other.ks == pytest.approx(same.ks, abs=0.003)
    assert other.ks_error > same.ks_error


def test_the_index_of_stability_is_that_of_deciles() -> None:
    draw = np.random.default_rng(3)
    old, new = draw.normal(size=100_000), draw.normal(0.5, 1, 100_000)
    cuts = np.quantile(old, np.arange(1, 10) / 10)
    shares = [
        np.bincount(np.searchsorted(cuts, side), minlength=10) / 100_000 for side in (old, new)
    ]
    expected = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    assert between(old, new).psi == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("old", "new", "ks", "moved"),
    [
        ([0.0, math.inf], [0.0, 0.0], 0.5, math.inf),
        ([-math.inf] * 2, [-math.inf, 0.0], 0.5, math.inf),
        ([math.inf, 1.0], [math.inf, 1.0], 0.0, 0.0),
        ([math.inf], [-math.inf], 1.0, math.inf),
    ],
)
def test_infinities_are_infinitely_far(
    old: list[float], new: list[float], ks: float, moved: float
) -> None:
    found = between(old, new)
    assert (found.ks, found.wasserstein) == (ks, moved)


def test_missing_values_are_a_share_of_all_rows() -> None:
    found = between([1.0, None, None, 2.0], [1.0, 2.0, math.nan, 1.0])
    assert found.missing == -0.25


@pytest.mark.parametrize("values", [[], [None]])
def test_without_values_there_is_nothing_to_compare(values: list[Any]) -> None:
    for found in (between([1.0], values), between(values, [1.0])):
        assert (found.ks, found.wasserstein, found.psi) == (None, None, None)


def test_texts_have_no_order() -> None:
    found = between(["a"] * 8 + ["b"] * 2, ["a"] * 5 + ["b"] * 5, pl.String)
    assert (found.ks, found.wasserstein) == (None, None)
    assert found.psi == pytest.approx(-0.3 * math.log(5 / 8) + 0.3 * math.log(5 / 2))


def test_a_new_category_counts() -> None:
    found = between(["a"], ["a", "b"], pl.String)
    assert found.psi is not None
    assert found.psi > 1


def test_of_a_category_that_one_may_have_missed_nothing_is_concluded() -> None:
    old = ["a"] * 9 + [f"{n}" for n in range(100)]
    new = ["a"] * 9 + [f"{n}" for n in range(98)] + ["99", "99"]
    assert between(old, new, pl.String).psi == 0


def test_a_number_that_became_a_text_is_not_compared() -> None:
    frames = pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["a"]})
    found = compare_profiles(*map(profile_frame, frames))[0]
    assert (found.ks, found.psi) == (None, None)
