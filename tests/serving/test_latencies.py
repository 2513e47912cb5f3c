from __future__ import annotations

from math import ceil, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.latencies import Latencies, bucket_of, bucket_start

TIMES = st.integers(min_value=0, max_value=10**12)


@given(time=TIMES)
def test_a_bucket_holds_times_that_differ_by_less_than_one_percent(time: int) -> None:
    bucket = bucket_of(time)
    first, end = bucket_start(bucket), bucket_start(bucket + 1)
    assert first <= time < end
    assert end - 1 <= first * 1.01


@given(
    times=st.lists(TIMES, min_size=1, max_size=50),
    share=st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 1.0]),
)
def test_quantiles_are_those_of_all_times(times: list[int], share: float) -> None:
    found = Latencies()
    for time in times:
        found.add(time)
    exact = sorted(times)[max(1, ceil(share * len(times))) - 1]
    assert exact <= found.quantile(share) <= max(exact * 1.01, exact)
    assert found.longest == max(times)
    assert found.mean == pytest.approx(sum(times) / len(times))


@given(
    times=st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=10),
    interval=st.integers(min_value=500, max_value=10**6),
)
def test_the_correction_adds_the_requests_that_were_not_sent(
    times: list[int], interval: int
) -> None:
    given_times, exact = Latencies(), []
    for time in times:
        given_times.add(time)
        exact += [time, *range(time - interval, interval - 1, -interval)]
    found = given_times.as_if_sent_every(interval)
    # A time is known to 1 %, so the last of its unsent requests may be counted or not.
    assert abs(found.count - len(exact)) <= sum(1 + time * 0.01 / interval for time in times)
    for share in (0.5, 0.9, 1.0):
        place = max(1, ceil(share * len(exact))) - 1
        near = sorted(exact)[max(0, place - len(times)) : place + len(times) + 1]
        assert min(near) * 0.98 - 2 <= found.quantile(share) <= max(near) * 1.02 + 2


def test_without_times() -> None:
    found = Latencies()
    assert isnan(found.quantile(0.5))
    assert isnan(found.mean)
    assert found.as_if_sent_every(5).count == 0


def test_a_negative_time_counts_as_none() -> None:
    found = Latencies()
    found.add(-5)
    assert (found.count, found.quantile(1.0)) == (1, 0)
