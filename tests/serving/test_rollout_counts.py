"""Counts of two versions, and the differences between their outputs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.rollout_counts import (
    Arm,
    Observed,
    Output,
    OutputComparison,
    add_counts,
    compare_outputs,
)

NAN = float("nan")
ARMS = st.builds(
    Arm,
    requests=st.integers(0, 9),
    errors=st.integers(0, 9),
    outside=st.integers(0, 9),
    latency=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    outputs=st.lists(st.integers(0, 9), max_size=2).map(tuple),
)
COUNTS = st.builds(Observed, candidate=ARMS, control=ARMS)


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_grouping(one: Observed, two: Observed, three: Observed) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + Observed() == Observed() + one == one
    assert (one + two).candidate.errors == one.candidate.errors + two.candidate.errors


def test_histograms_of_different_lengths() -> None:
    assert add_counts((1, 2), (1,)) == (2, 2)
    assert add_counts((), (1, 0, 3)) == (1, 0, 3)


def test_shares_without_requests_are_zero() -> None:
    assert Arm().error_share == 0.0
    assert Arm(requests=4, errors=1).error_share == 0.25
    assert OutputComparison().changed_share == 0.0
    assert OutputComparison(pairs=4, changed=1).changed_share == 0.25


@pytest.mark.parametrize(
    ("control", "candidate", "changed", "largest"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0.0),
        ([1.0, 2.0], [1.0, 2.5], 1, 0.5),
        # Rounding isn't a change.
        ([1e9], [1e9 + 1.0], 0, 1.0),
        ([0.0], [1e-9], 0, 1e-9),
        ([NAN], [NAN], 0, 0.0),
        ([NAN], [1.0], 1, 0.0),
        ([float("inf")], [float("inf")], 0, 0.0),
        ([float("inf")], [0.0], 1, float("inf")),
        (["late", "on time"], ["late", "late"], 1, 0.0),
        ([None], ["late"], 1, 0.0),
        ([], [], 0, 0.0),
    ],
)
def test_outputs_are_compared_row_by_row(
    control: list[Output], candidate: list[Output], changed: int, largest: float
) -> None:
    found = compare_outputs(control, candidate)
    assert (found.pairs, found.changed, found.largest) == (len(control), changed, largest)


def test_outputs_of_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare_outputs([1.0, 2.0], [1.0])


def test_comparisons_add_up() -> None:
    parts: list[Any] = [compare_outputs([1.0], [2.0]), compare_outputs([1.0, 1.0], [1.0, 4.0])]
    assert parts[0] + parts[1] == OutputComparison(pairs=3, changed=2, largest=3.0)
