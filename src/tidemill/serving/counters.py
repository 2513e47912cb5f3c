"""Count requests, and what they use, by endpoint and version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.buckets import BATCH_BUCKETS, LATENCY_BUCKETS, batch_bucket, latency_bucket


class Series:
    """The counters of one version at one endpoint, in one process; only its event loop updates them.

    CPU times are in nanoseconds: `cpu_ns` as measured around the work of requests, `charged_ns` after it was
    adjusted to what the process used, `idle_ns` and `memory_byte_s` the share of the rest. A series is
    `resident` while its version is loaded for the endpoint.
    """

    __slots__ = (
        *("endpoint", "version", "resident", "requests", "rows", "cpu_ns", "wall_ns", "errors"),
        *("latency", "batches", "cache_hits", "cache_misses"),
        *("metered", "metered_ns", "charged_ns", "idle_ns", "memory_byte_s"),
    )

    def __init__(self, endpoint: str, version: str) -> None:
        self.endpoint = endpoint
        self.version = version
        self.resident = True
        self.requests = self.rows = self.cpu_ns = self.wall_ns = 0
        self.errors: dict[int, int] = {}
        self.latency = [0] * LATENCY_BUCKETS
        self.batches = [0] * BATCH_BUCKETS
        self.cache_hits = self.cache_misses = 0
        # The parts of `requests` and `cpu_ns` that were charged already.
        self.metered = self.metered_ns = 0
        self.charged_ns = self.idle_ns = self.memory_byte_s = 0

    def record(self, wall_ns: int, cpu_ns: int, rows: int = 1, status: int = 200) -> None:
        """Count a request that was answered."""
        self.requests += 1
        self.rows += rows
        self.cpu_ns += cpu_ns
        self.wall_ns += wall_ns
        self.latency[latency_bucket(wall_ns)] += 1
        if status != 200:
            self.errors[status] = self.errors.get(status, 0) + 1

    def record_batch(self, requests: int) -> None:
        """Count a call of the model that answers so many requests together."""
        self.batches[batch_bucket(requests)] += 1

    def totals(self) -> SeriesTotals:
        """The counters as plain data."""
        return SeriesTotals(
            endpoint=self.endpoint,
            version=self.version,
            requests=self.requests,
            rows=self.rows,
            charged_ns=self.charged_ns,
            idle_ns=self.idle_ns,
            memory_byte_s=self.memory_byte_s,
            wall_ns=self.wall_ns,
            cache_hits=self.cache_hits,
            cache_misses=self.cache_misses,
            errors={str(status): count for status, count in self.errors.items()},
            latency=tuple(self.latency),
            batches=tuple(self.batches),
            resident=int(self.resident),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTotals:
    """The counters of a version at an endpoint; `resident` is in how many processes it is loaded."""

    endpoint: str
    version: str
    requests: int = 0
    rows: int = 0
    charged_ns: int = 0
    idle_ns: int = 0
    memory_byte_s: int = 0
    wall_ns: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = (0,) * LATENCY_BUCKETS
    batches: tuple[int, ...] = (0,) * BATCH_BUCKETS
    resident: int = 0

    @property
    def used_ns(self) -> int:
        """All CPU time, with the share of what was used beside requests."""
        return self.charged_ns + self.idle_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The counters of one process, or of several merged ones.

    `process_ns` is the CPU time that the series divide, but for `unshared_ns`, which was used while no
    version was loaded. `refusals` counts replies without an endpoint, by status. `logged_rows` are in the
    prediction log of each endpoint, and `unlogged` counts requests that it dropped. `checkpoint_failures` is
    how often a checkpoint of the ledger that was due couldn't be made. `in_flight` and `memory_bytes` are as
    of now, all else since the processes started.
    """

    processes: int = 1
    process_ns: int = 0
    unshared_ns: int = 0
    in_flight: int = 0
    memory_bytes: int = 0
    log_drops: int = 0
    checkpoint_failures: int = 0
    logged_rows: Mapping[str, int] = field(default_factory=dict)
    unlogged: Mapping[str, int] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)
    series: tuple[SeriesTotals, ...] = ()

    def count_requests(self) -> int:
        """The number of requests to all endpoints."""
        return sum(each.requests for each in self.series)


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Add up the counters of several processes."""
    merged = Snapshot(processes=0)
    for each in snapshots:
        merged = _combine(merged, each, 1)
    return merged


def without_levels(snapshot: Snapshot) -> Snapshot:
    """The counters of a process that has ended: nothing is in flight or loaded in it any more."""
    series = tuple(replace(each, resident=0) for each in snapshot.series)
    return replace(snapshot, processes=0, in_flight=0, memory_bytes=0, series=series)


def difference(later: Snapshot, earlier: Snapshot) -> Snapshot:
    """The counters of the time between two snapshots of the same processes; levels are those of `later`."""
    return _combine(later, without_levels(earlier), -1)


def _combine(one: Snapshot, other: Snapshot, sign: int) -> Snapshot:
    """`one` plus `sign` times `other`, series by series."""
    known = {(each.endpoint, each.version): each for each in one.series}
    for each in other.series:
        place = each.endpoint, each.version
        base = known.get(place, SeriesTotals(endpoint=each.endpoint, version=each.version))
        known[place] = SeriesTotals(**_added(base, each, sign))
    return Snapshot(**{**_added(one, other, sign), "series": tuple(known.values())})


def _added(one: Any, other: Any, sign: int) -> dict[str, Any]:
    """The fields of a record plus `sign` times those of another; names stay those of `one`."""
    found: dict[str, Any] = {}
    for item in fields(one):
        mine, theirs = getattr(one, item.name), getattr(other, item.name)
        if isinstance(mine, int):
            mine += sign * theirs
        elif isinstance(mine, Mapping):
            mine = _added_counts(mine, theirs, sign)
        elif item.name in ("latency", "batches"):
            mine = tuple(a + sign * b for a, b in zip(mine, theirs, strict=True))
        found[item.name] = mine
    return found


def _added_counts(one: Mapping[str, int], other: Mapping[str, int], sign: int) -> dict[str, int]:
    sums = {key: one.get(key, 0) + sign * other.get(key, 0) for key in {**one, **other}}
    return {key: count for key, count in sums.items() if count}
