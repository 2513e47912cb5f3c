"""Counts of good and bad events by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.operations.outcome_counts import HOUR, MINUTE, OutcomeCounts

NOW = 1_000_000_000.0
EVENTS = st.lists(
    st.tuples(st.integers(-40 * 24 * 60, 0), st.integers(0, 9), st.integers(0, 9)), max_size=30
)


@given(EVENTS, st.sampled_from([5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 72 * HOUR, 672 * HOUR]))
def test_a_window_counts_what_is_in_it_to_the_minute_or_hour(
    events: list[tuple[int, int, int]], window: int
) -> None:
    counts = OutcomeCounts()
    for minutes, good, bad in events:
        counts.add(NOW + minutes * MINUTE, good, bad)
    counts.prune(NOW, 672 * HOUR)
    length = MINUTE if window <= 72 * HOUR else HOUR
    expected = [
        (NOW + minutes * MINUTE, good, bad)
        for minutes, good, bad in events
        if (NOW - window) // length < (NOW + minutes * MINUTE) // length
    ]
    good, bad = counts.within(window, NOW)
    assert (good, bad) == (sum(one[1] for one in expected), sum(one[2] for one in expected))
    first = counts.first_bad(window, NOW)
    assert (first is None) == (bad == 0)
    if first is not None:
        assert first == min(at // length * length for at, _, failed in expected if failed)


def test_the_future_is_not_counted() -> None:
    counts = OutcomeCounts()
    counts.add(NOW + HOUR, 1, 1)
    assert counts.within(6 * HOUR, NOW) == (0, 0)


def test_pruned_counts_stay_few() -> None:
    counts = OutcomeCounts()
    for hour in range(2000):
        counts.add(NOW + hour * HOUR, 1, 0)
    counts.prune(NOW + 2000 * HOUR, 24 * HOUR)
    assert len(counts.minutes) <= 74
    assert len(counts.hours) <= 26
