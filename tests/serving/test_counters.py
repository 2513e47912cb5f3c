"""Counters of several processes add up, and periods are differences."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.buckets import BATCH_BUCKETS, LATENCY_BUCKETS, latency_bucket
from tidemill.serving.counters import (
    Series,
    SeriesTotals,
    Snapshot,
    difference,
    merge,
    without_levels,
)

COUNTS = st.integers(0, 10**6)
STATUSES = st.dictionaries(st.sampled_from(["400", "422", "503"]), st.integers(1, 100))


def histograms(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Counts of buckets, of which few aren't 0: drawing each one takes long."""
    filled = st.dictionaries(st.integers(0, size - 1), COUNTS, max_size=3)
    return filled.map(lambda counts: tuple(counts.get(bucket, 0) for bucket in range(size)))


TOTALS = st.builds(
    SeriesTotals,
    endpoint=st.sampled_from(["delays", "demand"]),
    version=st.sampled_from(["v1", "v2"]),
    requests=COUNTS,
    rows=COUNTS,
    charged_ns=COUNTS,
    idle_ns=COUNTS,
    memory_byte_s=COUNTS,
    wall_ns=COUNTS,
    cache_hits=COUNTS,
    cache_misses=COUNTS,
    errors=STATUSES,
    latency=histograms(LATENCY_BUCKETS),
    batches=histograms(BATCH_BUCKETS),
    resident=st.integers(0, 1),
)
SNAPSHOTS = st.builds(
    Snapshot,
    process_ns=COUNTS,
    unshared_ns=COUNTS,
    in_flight=COUNTS,
    memory_bytes=COUNTS,
    log_drops=COUNTS,
    refusals=STATUSES,
    series=st.lists(TOTALS, max_size=3, unique_by=lambda t: (t.endpoint, t.version)).map(tuple),
)


def in_order(snapshot: Snapshot) -> Snapshot:
    series = sorted(snapshot.series, key=lambda each: (each.endpoint, each.version))
    return replace(snapshot, series=tuple(series))


def test_requests_are_counted() -> None:
    series = Series("delays", "v1")
    series.record(300_000, 50_000)
    series.record(2_000_000, 400_000, rows=100)
    series.record(100_000, 20_000, rows=0, status=422)
    series.record(100_000, 20_000, rows=0, status=422)
    series.record_batch(3)
    series.cache_hits += 2
    found = series.totals()
    assert (found.requests, found.rows, found.wall_ns) == (4, 101, 2_500_000)
    assert found.errors == {"422": 2}
    assert sum(found.latency) == 4
    assert found.latency[latency_bucket(2_000_000)] == 1
    assert found.batches[2] == 1
    assert (found.cache_hits, found.resident, found.charged_ns) == (2, 1, 0)
    series.resident = False
    assert series.totals().resident == 0


@given(st.lists(SNAPSHOTS, max_size=3), st.lists(SNAPSHOTS, max_size=3))
def test_merging_adds_up_in_any_order(some: list[Snapshot], others: list[Snapshot]) -> None:
    every = merge([*some, *others])
    assert in_order(every) == in_order(merge([merge(others), merge(some)]))
    assert every.processes == len(some) + len(others)
    assert every.count_requests() == sum(each.count_requests() for each in (*some, *others))
    assert sum(sum(t.latency) for t in every.series) == sum(
        sum(t.latency) for each in (*some, *others) for t in each.series
    )


@given(SNAPSHOTS, SNAPSHOTS)
def test_a_period_is_what_came_after_its_start(start: Snapshot, more: Snapshot) -> None:
    ended = merge([without_levels(start), more])
    period = difference(ended, start)
    assert period.processes == more.processes
    again = merge([without_levels(start), period])
    assert in_order(again) == in_order(ended)


@given(SNAPSHOTS)
def test_a_process_that_ended_keeps_its_counts_only(snapshot: Snapshot) -> None:
    ended = without_levels(snapshot)
    assert (ended.processes, ended.in_flight, ended.memory_bytes) == (0, 0, 0)
    assert all(each.resident == 0 for each in ended.series)
    assert ended.count_requests() == snapshot.count_requests()


@given(SNAPSHOTS)
def test_a_snapshot_is_plain_data(snapshot: Snapshot) -> None:
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
