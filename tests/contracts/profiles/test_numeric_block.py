"""A block of columns is looked at together, and each comes out as if it were alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.histogram import INFINITE, bins_of, counts_of
from tidemill.contracts.profiles.numeric_block import BLOCK
from tidemill.contracts.profiles.partition_profile import (
    merge_profiles,
    profile_columns,
    profile_frame,
)
from tidemill.contracts.profiles.record import ColumnProfile, Grid, Profile

START = dt.datetime(2026, 1, 1)
NUMBERS = st.one_of(st.none(), st.floats(width=64), st.integers(-5, 5).map(float))
WIDE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(2**60, 2**60 + 5))


@st.composite
def columns(draw: st.DrawFn) -> list[pl.Series]:
    """Columns of several lengths and kinds."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        kinds: list[tuple[Any, Any]] = [(pl.Float64, NUMBERS), (pl.Int64, WIDE)]
        dtype, values = draw(st.sampled_from(kinds))
        held = draw(st.lists(values, max_size=40))
        found.append(pl.Series(f"c{number}", held, dtype=dtype, strict=False))
    return found


@given(columns())
def test_columns_of_any_lengths_are_told_as_if_each_were_alone(series: list[pl.Series]) -> None:
    alone = [profile_columns([(each, None)])[0] for each in series]
    assert repr(profile_columns([(each, None) for each in series])) == repr(alone)


def test_there_may_be_no_columns() -> None:
    assert profile_columns([]) == []
    assert profile_frame(pl.DataFrame()) == Profile(rows=0, columns=())


def long() -> pl.DataFrame:
    """More rows than are looked at together, and in which later ones have what earlier ones lack."""
    n = np.arange(2 * BLOCK + 100)
    late = n >= 2 * BLOCK
    return pl.DataFrame(
        {
            "few": n % 50,
            "growing": np.minimum(n, 100),
            "gaps": np.where(late, np.nan, n / 7),
            "wild": np.where(n == 5, 1e300, np.where(late, -np.inf, 1.0 * n)),
            "wide": n.astype(np.int64) + 2**60,
            "part": pl.Series([None if x else 1.5 for x in late.tolist()]),
        }
    )


def test_rows_beyond_a_block_count_like_the_first() -> None:
    frame = long()
    whole = profile_frame(frame)
    pieces = [frame[at : at + 1000] for at in range(0, frame.height, 1000)]
    merged = merge_profiles([profile_frame(piece, whole.grids) for piece in pieces])
    for name in frame.columns:
        one, other = whole[name], merged[name]
        assert (one.histogram, one.least, one.most) == (other.histogram, other.least, other.most)
        assert (one.nulls, one.nans, one.finite) == (other.nulls, other.nans, other.finite)
        assert one.distinct == other.distinct
    assert whole["few"].distinct == 50
    assert whole["gaps"].nans == 100
    assert whole["part"].nulls == 100
    assert whole["gaps"].mean == pytest.approx(frame["gaps"].drop_nans().mean())
    variance: Any = frame["few"].var()
    assert whole["few"].variance == pytest.approx(variance)


def told(values: list[int], dtype: Any, grid: Grid | None = None) -> ColumnProfile:
    return profile_columns([(pl.Series("x", values, dtype=dtype), grid)])[0]


def bins(column: ColumnProfile) -> list[int]:
    assert column.histogram is not None
    return [int(number) for number in bins_of(column.histogram)]


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_integers_beyond_floats_have_bins_of_their_own(dtype: Any) -> None:
    """Around 2**61 floats are 512 apart."""
    values = [2**61 + n for n in range(9)]
    column = told(values, dtype, Grid(center=float(2**61), scale=4.0))
    assert len(bins(column)) == 9
    assert (column.least, column.most) == (values[0], values[-1])
    assert column.distinct == 9


def test_a_center_that_is_no_integer_is_taken_off_as_a_float() -> None:
    assert len(bins(told([2**61, 2**61 + 1], pl.Int64, Grid(center=0.5, scale=4.0)))) == 1


def test_the_ends_of_all_integers_are_apart() -> None:
    column = told([-(2**63), 0, 2**63 - 1], pl.Int64, Grid(center=float(2**62), scale=1.0))
    assert len(bins(column)) == 3
    assert column.distinct == 3


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_times_are_told_in_their_unit(unit: Any) -> None:
    factor = {"ns": 10**9, "us": 10**6, "ms": 10**3}[unit]
    values = [START, None, START + dt.timedelta(seconds=1)]
    column = profile_columns([(pl.Series("x", values, dtype=pl.Datetime(unit)), None)])[0]
    assert column.least == int((START - dt.datetime(1970, 1, 1)).total_seconds()) * factor
    assert isinstance(column.most, int)
    assert column.most - column.least == factor
    assert (column.nulls, column.distinct, len(bins(column))) == (1, 2, 2)


def test_what_overflows_is_no_infinity() -> None:
    column = profile_columns(
        [(pl.Series("x", [1e308, -1e308, float("inf")]), Grid(center=0.0, scale=1e-9))]
    )
    held = column[0].histogram
    assert held is not None
    assert counts_of(held).tolist() == [1, 1, 1]
    assert bins(column[0])[-1] == INFINITE


@pytest.mark.parametrize("others", [[], [float("-inf")]])
def test_the_least_floats_are_apart_from_minus_infinity(others: list[float]) -> None:
    least = pl.Series("a", [-1.7694064958454636e308, *others])
    histogram = profile_columns([(least, Grid(center=0.0, scale=1.0))])[0].histogram
    assert histogram is not None
    assert bins_of(histogram).tolist() == [*([-INFINITE] * len(others)), 1 - INFINITE]


def test_bins_far_apart_are_counted_as_well() -> None:
    frame = pl.DataFrame({name: [float("inf"), float("-inf"), 0.0, 0.0] for name in "abc"})
    whole = profile_frame(frame)
    for name in frame.columns:
        held = whole[name].histogram
        assert held is not None
        assert counts_of(held).tolist() == [1, 2, 1]
        assert bins(whole[name]) == [-INFINITE, 0, INFINITE]
