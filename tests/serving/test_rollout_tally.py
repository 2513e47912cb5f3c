"""Counting requests between two looks."""

from __future__ import annotations

import pytest

from tidemill.serving.buckets import latency_bucket
from tidemill.serving.output_bounds import OutputBounds
from tidemill.serving.rollout_counts import Observed, OutputComparison
from tidemill.serving.rollout_tally import MOST_OUTPUTS, RolloutTally

NAN = float("nan")


def tally() -> RolloutTally:
    return RolloutTally(OutputBounds(low=0.0, high=10.0))


def test_requests_are_counted_by_version_until_they_are_taken() -> None:
    counts = tally()
    counts.answer([1.0, 2.0], candidate=False, nanoseconds=20_000_000)
    counts.answer([3.0], candidate=True)
    counts.answer([3.0, 11.0, 12.0], candidate=True, nanoseconds=1_000)
    counts.candidate.fail()
    found = counts.take()
    ours, theirs = found.candidate, found.control
    assert (ours.requests, ours.errors, ours.outside) == (3, 1, 1)
    # One prediction of a request, and the time of computed answers alone.
    assert (ours.outputs, sum(ours.latency), ours.latency[0]) == ((3.0, 3.0), 1, 1)
    assert (theirs.requests, theirs.errors, theirs.outputs) == (1, 0, (1.0,))
    assert theirs.latency[latency_bucket(20_000_000)] == 1
    empty = counts.take()
    assert (empty.candidate.requests, empty.control.outputs) == (0, ())
    assert sum(empty.candidate.latency) == 0


def test_pairs_are_counted_for_both_and_compared() -> None:
    counts = tally()
    counts.pair([1.0, 2.0], [1.0, 4.0])
    counts.pair([1.0], None)
    counts.pair(None, [NAN])
    counts.pair(None, None)
    found = counts.take()
    assert found.comparison == OutputComparison(pairs=2, changed=1, largest=2.0)
    assert found.candidate.requests == found.control.requests == 4
    assert (found.candidate.errors, found.control.errors) == (2, 2)
    assert (found.candidate.outside, found.control.outside) == (1, 0)
    assert counts.take().comparison == Observed().comparison


def test_pairs_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        tally().pair([1.0, 2.0], [1.0])


def test_only_so_many_outputs_are_kept() -> None:
    counts = tally()
    for number in range(MOST_OUTPUTS + 5):
        counts.answer([float(number)], candidate=True)
    found = counts.take().candidate
    assert (found.requests, len(found.outputs)) == (MOST_OUTPUTS + 5, MOST_OUTPUTS)
