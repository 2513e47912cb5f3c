"""The shares of a column that are compared with its reference, of any type and any shape of data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.contracts.profiles.column_evidence import (
    Windows,
    column_evidence,
    kind_of,
    series_of,
)
from tidemill.contracts.profiles.e_detector import Floats
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import ColumnProfile, Grid

RANDOM = np.random.default_rng(11)


def profiled(*partitions: Any, dtype: Any = None, grids: Any = None) -> list[ColumnProfile | None]:
    """The column of each partition, on the grid of the first; None for a partition without it."""
    found: list[ColumnProfile | None] = []
    known: dict[str, Grid] = {}
    for at, values in enumerate(partitions):
        if values is None:
            found.append(None)
            continue
        frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
        profile = profile_frame(frame, {"x": grids[at]} if grids else known)
        known = known or profile.grids
        found.append(profile["x"])
    return found


def last(columns: list[ColumnProfile | None], needed: int = 1) -> Floats:
    """The evidence on the last partition, compared with all before."""
    at = len(columns) - 1
    kind = kind_of(next(column.dtype for column in columns if column is not None))
    windows = Windows(at=np.array([at]), first=np.array([0]), needed=needed)
    found = column_evidence(columns, kind, windows, 0.03)
    assert found.shape == (1, series_of(kind))
    row: Floats = found[0]
    return row


def is_drift(evidence: Floats) -> bool:
    return bool(np.nan_to_num(evidence, nan=-1).max() > math.log(1000))


def normal(shift: float = 0.0, rows: int = 2_000) -> Floats:
    return RANDOM.normal(shift, 1, rows)


CALM: dict[str, Any] = {
    "numbers": [normal() for _ in range(5)],
    "integers": [RANDOM.poisson(2, 2_000) for _ in range(5)],
    "constant": [np.full(2_000, 7.0)] * 5,
    "zeros": [np.zeros(2_000)] * 5,
    "infinities": [np.where(RANDOM.random(2_000) < 0.2, np.inf, normal()) for _ in range(5)],
    "missing": [[None] * 2_000] * 4 + [[None] * 2_000],
    "words": [RANDOM.choice(["a", "b", "c"], 2_000) for _ in range(5)],
    "many words": [RANDOM.choice([f"w{n}" for n in range(300)], 2_000) for _ in range(5)],
    "keys": [[f"{part}-{row:05}" for row in range(2_000)] for part in range(5)],
    "flags": [RANDOM.random(2_000) < 0.3 for _ in range(5)],
    "lists": [[[1] * n for n in RANDOM.integers(0, 4, 2_000)] for _ in range(5)],
    "bytes": [[b"x" * n for n in RANDOM.integers(0, 4, 2_000)] for _ in range(5)],
}
DTYPES = {"missing": pl.Float64}


@pytest.mark.parametrize("name", CALM)
def test_no_drift_is_no_evidence(name: str) -> None:
    assert not is_drift(last(profiled(*CALM[name], dtype=DTYPES.get(name))))


DRIFT: dict[str, tuple[str, Any]] = {
    "a shift": ("numbers", normal(0.4)),
    "a wider spread": ("numbers", 1.5 * normal()),
    "nulls": ("numbers", [None] * 200 + normal(rows=1_800).tolist()),
    "NaNs": ("numbers", [math.nan] * 200 + normal(rows=1_800).tolist()),
    "another constant": ("constant", np.full(2_000, 7.5)),
    "some other values": ("constant", np.append(np.full(1_800, 7.0), np.full(200, 6.0))),
    "counts": ("integers", RANDOM.poisson(2.5, 2_000)),
    "infinities": ("infinities", np.where(RANDOM.random(2_000) < 0.3, np.inf, normal())),
    "first values": ("missing", normal()),
    "a word becomes frequent": ("words", RANDOM.choice(["a", "b", "c"], 2_000, p=[0.6, 0.2, 0.2])),
    "a new word": ("words", RANDOM.choice(["a", "b", "c", "d"], 2_000, p=[0.3, 0.3, 0.3, 0.1])),
    "new words": ("words", [*["a", "b", "c"] * 600, *map(str, range(200))]),
    "a frequent word among many": (
        "many words",
        np.append(RANDOM.choice([f"w{n}" for n in range(300)], 1_700), ["w7"] * 300),
    ),
    "longer keys": ("keys", [f"x-{row:07}" for row in range(2_000)]),
    "flags": ("flags", RANDOM.random(2_000) < 0.4),
    "longer lists": ("lists", [[1] * n for n in RANDOM.integers(0, 6, 2_000)]),
    "longer bytes": ("bytes", [b"x" * n for n in RANDOM.integers(0, 6, 2_000)]),
}


@pytest.mark.parametrize("name", DRIFT)
def test_drift_is_evidence(name: str) -> None:
    before, values = DRIFT[name]
    columns = profiled(*CALM[before], values, dtype=DTYPES.get(before))
    assert is_drift(last(columns))


def test_a_column_that_is_new_waits_for_its_own_reference() -> None:
    columns = profiled(None, None, normal(), normal(), normal(3))
    assert np.isnan(last(columns, needed=3)).all()
    assert is_drift(last(columns, needed=2))


def test_a_partition_without_the_column_or_without_rows_is_not_judged() -> None:
    nothing: list[list[float] | None] = [None, []]
    for values in nothing:
        columns = profiled(normal(), normal(), values, dtype=pl.Float64)
        assert np.isnan(last(columns)).all()


def test_a_partition_without_rows_is_no_reference() -> None:
    columns = profiled(normal(), [], normal(3), dtype=pl.Float64)
    assert np.isnan(last(columns, needed=2)).all()


def test_profiles_on_other_grids_are_compared_with_care() -> None:
    fine, coarse = Grid(center=0.0, scale=1.0), Grid(center=0.3, scale=40.0)
    grids = [fine, fine, coarse]
    assert not is_drift(last(profiled(normal(), normal(), normal(), grids=grids)))
    assert is_drift(last(profiled(normal(), normal(), normal(5), grids=grids)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.floats(-3, 3), st.just(math.inf)), max_size=20),
        min_size=2,
        max_size=5,
    )
)
def test_the_same_values_for_good_are_no_evidence(partitions: list[list[float | None]]) -> None:
    """The last partition repeats all those before: its shares are those of the reference."""
    again = [value for part in partitions for value in part]
    evidence = last(profiled(*partitions, again, dtype=pl.Float64), needed=0)
    assert (np.nan_to_num(evidence, nan=-1) <= 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.text("ab", max_size=2)), max_size=20),
        min_size=2,
        max_size=5,
    )
)
def test_the_same_words_for_good_are_no_evidence(partitions: list[list[str | None]]) -> None:
    again = [value for part in partitions for value in part]
    evidence = last(profiled(*partitions, again, dtype=pl.String), needed=0)
    assert (np.nan_to_num(evidence, nan=-1) <= 1e-9).all()


def test_each_partition_has_its_own_reference() -> None:
    columns = profiled(normal(), normal(), normal(2), normal(2), normal(2))
    windows = Windows(at=np.array([2, 4]), first=np.array([0, 2]), needed=2)
    first, second = column_evidence(columns, "numbers", windows, 0.03)
    assert is_drift(first)
    assert not is_drift(second)
