"""The share of rows whose prediction must have changed, from the profiles of predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.distance import distance
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import Categories
from tidemill.models.predicted_values import prediction_profile
from tidemill.models.shifted_predictions import changed_share, shifted_share
from tidemill.workflow.gate import PredictionProfile, Scores


def profile(values: list[float] | list[str]) -> PredictionProfile:
    found = prediction_profile(pl.DataFrame({"prediction": values}))
    assert found is not None
    return found


def classes(missed: int = 0, **counts: int) -> PredictionProfile:
    held = Categories(counts=counts, missed=missed)
    return PredictionProfile(rows=sum(counts.values()), categories=held)


def test_equal_predictions_did_not_move() -> None:
    values = np.random.default_rng(1).normal(size=500).tolist()
    assert shifted_share(profile(values), profile(values)) == 0
    assert shifted_share(profile(["a", "b"]), profile(["b", "a"])) == 0


def test_a_constant_that_moved_is_all_rows() -> None:
    assert shifted_share(profile([9.0] * 4), profile([9.5] * 4)) == 1


def test_part_of_the_rows_moved() -> None:
    old, new = [float(n) for n in range(100)], [float(n) for n in range(80)] + [1e6] * 20
    assert shifted_share(profile(old), profile(new)) == pytest.approx(0.2, abs=0.02)
    assert shifted_share(classes(a=8, b=2), classes(a=5, b=2, c=3)) == pytest.approx(0.3)


def error(old: list[float], new: list[float]) -> float:
    """By how much the statistic of two profiles may be off."""
    one, other = (profile_frame(pl.DataFrame({"x": v})).columns[0] for v in (old, new))
    return distance(one, other).ks_error or 0.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_share_is_a_share_and_never_more_than_changed(old: list[float], new: list[float]) -> None:
    count = min(len(old), len(new))
    old, new = old[:count], new[:count]
    share = shifted_share(profile(old), profile(new))
    assert share is not None
    assert 0 <= share <= 1
    moved = sum(a != b for a, b in zip(sorted(old), sorted(new), strict=True)) / count
    # Within a bin nobody knows where the values are.
    assert share <= moved + error(old, new) + 1e-9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PredictionProfile(rows=0), PredictionProfile(rows=0)),
        (classes(a=1), PredictionProfile(rows=1)),  # of another type
        (classes(1, a=5), classes(a=5)),  # more classes than are listed
        (PredictionProfile(rows=1, categories=Categories(counts={})), classes(a=1)),
    ],
)
def test_what_cannot_be_told_is_not_known(old: PredictionProfile, new: PredictionProfile) -> None:
    assert shifted_share(old, new) is None


@pytest.mark.parametrize(
    ("old", "new", "share"),
    [
        ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], 0.0),
        # Nobody predicts half of the rows any more; nor did the live model.
        ([1.0] * 4, [1.0, 1.0, math.nan, math.nan], 0.5),
        ([1.0] * 4, [1.0, 1.0, None, None], 0.5),
        ([1.0, 1.0, None, None], [1.0] * 4, 0.5),
        ([1.0, 1.0, None, None], [math.nan, 1.0, 1.0, None], 0.0),
        (["a", "b", "a", "b"], ["a", None, "a", None], 0.5),
        ([1.0] * 4, [None, 2.0, 2.0, 2.0], 1.0),
        ([1.0] * 4, [None] * 4, None),
        ([1.0] * 4, [math.nan] * 4, None),
    ],
)
def test_predictions_that_are_lost_count(old: Any, new: Any, share: float | None) -> None:
    assert changed_share(scored(old), scored(new)) == share


def scored(values: list[Any]) -> Scores:
    frame = pl.DataFrame({"prediction": values})
    return Scores(rows=frame.height, metrics={}, predictions=prediction_profile(frame))
