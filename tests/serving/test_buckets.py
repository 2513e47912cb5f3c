"""Each value is in the first bucket whose end it doesn't exceed."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.buckets import (
    BATCH_BUCKETS,
    LATENCY_BUCKETS,
    batch_bucket,
    batch_ends,
    latency_bucket,
    latency_ends,
    quantile,
)

ENDS_NS = [round(end * 1e9) for end in latency_ends()]


def test_buckets_grow_by_at_most_half() -> None:
    assert len(ENDS_NS) == LATENCY_BUCKETS - 1
    assert len(batch_ends()) == BATCH_BUCKETS - 1
    assert all(1.3 < after / before <= 1.5 for before, after in pairwise(ENDS_NS))
    assert 1e-5 < latency_ends()[0] < 2e-5
    assert 30 < latency_ends()[-1] < 40


@given(
    st.integers(0, 10**11)
    | st.sampled_from(ENDS_NS)
    | st.sampled_from(ENDS_NS).map(lambda n: n + 1)
)
def test_a_time_is_in_its_bucket(nanoseconds: int) -> None:
    assert latency_bucket(nanoseconds) == bisect_left(ENDS_NS, nanoseconds)


@given(st.integers(1, 10_000))
def test_a_batch_is_in_its_bucket(requests: int) -> None:
    assert batch_bucket(requests) == bisect_left(batch_ends(), requests)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_is_the_end_of_the_bucket_that_holds_it(times: list[int], share: float) -> None:
    counts = [0] * LATENCY_BUCKETS
    for each in times:
        counts[latency_bucket(each)] += 1
    exact = sorted(times)[math.ceil(share * len(times) - 1e-9) - 1] / 1e9
    found = quantile(counts, share)
    assert exact <= found <= max(exact * 1.5, latency_ends()[0])


def test_quantiles_at_the_edges() -> None:
    counts = [0] * LATENCY_BUCKETS
    assert math.isnan(quantile(counts, 0.5))
    counts[-1] = 1
    assert quantile(counts, 0.5) == math.inf
    # As the ledger keeps them, without the empty buckets at the end.
    assert quantile((0, 2), 0.99) == pytest.approx(24 * 1024e-9)
