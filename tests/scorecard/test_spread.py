"""The middle and the slow end of durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.scorecard.spread import Spread, nearest_rank, nearest_rank_of_counts, spread


def test_without_durations_nothing_is_known() -> None:
    assert spread([]) == Spread(n=0, p50=None, p90=None)
    assert nearest_rank_of_counts({}, 0.95) is None
    assert nearest_rank_of_counts({3.0: 0}, 0.95) is None


@pytest.mark.parametrize(
    ("ended", "lasting", "found"),
    [
        ([3.0], [], Spread(n=1, p50=3.0, p90=3.0)),
        ([2.0, 1.0], [], Spread(n=2, p50=1.0, p90=2.0)),
        ([float(n) for n in range(1, 11)], [], Spread(n=10, p50=5.0, p90=9.0)),
        # One that lasts longer than the middle can't move it, but the slow end.
        ([1.0, 2.0, 3.0], [9.0], Spread(n=4, p50=2.0, p90=9.0, p90_grows=True)),
        ([8.0, 9.0], [1.0], Spread(n=3, p50=8.0, p90=9.0, p50_grows=True, p90_grows=True)),
        ([], [4.0], Spread(n=1, p50=4.0, p90=4.0, p50_grows=True, p90_grows=True)),
    ],
)
def test_ranks(ended: list[float], lasting: list[float], found: Spread) -> None:
    assert spread(ended, lasting) == found


durations = st.lists(st.floats(0, 1e6), min_size=1, max_size=12)


@given(durations, st.sampled_from([0.5, 0.9, 0.95]))
def test_a_rank_is_the_smallest_that_covers_the_share(values: list[float], share: float) -> None:
    found = nearest_rank(sorted(values), share)
    covering = [v for v in values if sum(w <= v for w in values) >= share * len(values) - 1e-9]
    assert found == min(covering)
    counts = {value: values.count(value) for value in values}
    assert nearest_rank_of_counts(counts, share) == found


@given(durations, durations, st.lists(st.floats(0, 1e6), min_size=12, max_size=12))
def test_only_figures_that_say_so_grow(
    ended: list[float], lasting: list[float], more: list[float]
) -> None:
    before = spread(ended, lasting)
    after = spread([*ended, *(now + later for now, later in zip(lasting, more, strict=False))])
    assert before.p50 is not None
    assert after.p50 is not None
    assert before.p90 is not None
    assert after.p90 is not None
    assert after.p50 >= before.p50
    assert before.p50_grows or after.p50 == before.p50
    assert after.p90 >= before.p90
    assert before.p90_grows or after.p90 == before.p90
