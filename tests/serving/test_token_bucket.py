"""A token bucket never allows more than its burst and its rate, and allows all of that."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.token_bucket import TokenBucket

RATES = st.floats(0.01, 1000)
BURSTS = st.floats(1, 100)


@given(RATES, BURSTS, st.lists(st.floats(-1, 5), min_size=1, max_size=200))
def test_no_more_than_the_burst_and_the_rate(
    rate: float, burst: float, pauses: list[float]
) -> None:
    bucket, now, allowed, begun = TokenBucket(burst, 0.0), 0.0, [], 0.0
    for pause in pauses:
        now += pause
        if bucket.take(now, rate=rate, burst=burst) == 0.0:
            allowed.append(now)
    # Time that passed, without the steps back of the clock: these give nothing.
    for start in range(len(allowed)):
        begun = allowed[start]
        went = sum(
            max(0.0, b - a) for a, b in zip(allowed[start:], allowed[start + 1 :], strict=False)
        )
        back = sum(max(0.0, -pause) for pause in pauses)
        assert len(allowed) - start <= burst + rate * (went + back) + 1e-6, begun


@given(RATES, BURSTS)
def test_a_whole_burst_is_allowed_at_once_and_then_one_after_the_wait(
    rate: float, burst: float
) -> None:
    bucket = TokenBucket(burst, 0.0)
    for _ in range(math.floor(burst)):
        assert bucket.take(0.0, rate=rate, burst=burst) == 0.0
    wait = bucket.take(0.0, rate=rate, burst=burst)
    assert 0 < wait <= 1 / rate
    assert bucket.take(wait * 0.99, rate=rate, burst=burst) > 0
    assert bucket.take(wait * 1.001 + 1e-9, rate=rate, burst=burst) == 0.0


def test_a_smaller_burst_holds_at_once() -> None:
    bucket = TokenBucket(10.0, 0.0)
    assert bucket.take(0.0, rate=1.0, burst=1.0) == 0.0
    assert bucket.take(0.0, rate=1.0, burst=1.0) == 1.0
