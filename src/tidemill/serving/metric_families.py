"""The metrics of a server as data, in which Prometheus and OpenTelemetry are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.price import Price
from tidemill.serving.buckets import batch_ends, latency_ends
from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.metering import serving_costs

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVersion:
    """A version that answers at an endpoint: what `tidemill_model_info` says of it.

    `role` is "live", "canary" or "shadow"; `watermark` says how new its training data is.
    """

    endpoint: str
    version: str
    model: str
    contract: str
    role: str
    watermark: str = ""


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """A histogram: a count for each bucket, the last of which has no end; `total` is None if unknown."""

    counts: Sequence[int]
    ends: Sequence[float]
    total: float | None


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name and kind, what it is, and its points by label."""

    name: str
    kind: Kind
    about: str
    points: Sequence[tuple[Labels, float | BucketCounts]]


def metric_families(snapshot: Snapshot, live: Iterable[LiveVersion], price: Price) -> list[Family]:
    """All metrics of a server; those without points are left out."""
    series = snapshot.series
    found = [
        Family("tidemill_requests_total", "counter", "Answered requests by status.",
               [point for each in series for point in _by_status(each)]),
        *(Family(name, "counter", about, [(_labels(each), getattr(each, field)) for each in series])
          for name, field, about in _COUNTS),
        *(Family(name, "counter", about,
                 [(_labels(each), getattr(each, field) / 1e9) for each in series])
          for name, field, about in _SECONDS),
        Family("tidemill_request_duration_seconds", "histogram", "Time to answer a request.",
               [(_labels(each), BucketCounts(each.latency, latency_ends(), each.wall_ns / 1e9))
                for each in series]),
        Family("tidemill_batch_requests", "histogram",
               "Requests that one call of the model answered.",
               [(_labels(each), BucketCounts(each.batches, batch_ends(), None)) for each in series]),
        _costs(snapshot, price),
        Family("tidemill_refusals_total", "counter",
               "Replies that belong to no endpoint, by status.",
               [({"status": status}, count) for status, count in sorted(snapshot.refusals.items())]),
        Family("tidemill_logged_rows_total", "counter", "Rows in the prediction log.",
               _by_endpoint(snapshot.logged_rows)),
        Family("tidemill_unlogged_requests_total", "counter",
               "Requests that the prediction log dropped.", _by_endpoint(snapshot.unlogged)),
        *_levels(snapshot),
        Family("tidemill_model_info", "gauge", "Versions that answer at an endpoint.",
               [(_info(each), 1) for each in live]),
    ]  # fmt: skip
    return [family for family in found if family.points]


_COUNTS = (
    ("tidemill_rows_total", "rows", "Rows that were predicted."),
    ("tidemill_cache_hits_total", "cache_hits", "Rows that the answer cache answered."),
    ("tidemill_cache_misses_total", "cache_misses", "Rows that the answer cache didn't know."),
    ("tidemill_memory_byte_seconds_total", "memory_byte_s", "Share of the memory, over time."),
)
_SECONDS = (
    ("tidemill_request_cpu_seconds_total", "charged_ns", "CPU time of requests."),
    ("tidemill_idle_cpu_seconds_total", "idle_ns", "Share of the CPU time beside requests."),
)


def _levels(snapshot: Snapshot) -> list[Family]:
    values: list[tuple[str, Kind, str, float]] = [
        ("tidemill_in_flight", "gauge", "Requests that are being answered.", snapshot.in_flight),
        ("tidemill_processes", "gauge", "Serving processes.", snapshot.processes),
        ("tidemill_unshared_cpu_seconds_total", "counter", "CPU time while no version was loaded.",
         snapshot.unshared_ns / 1e9),
        ("tidemill_log_drops_total", "counter", "Lines that the access log dropped.",
         snapshot.log_drops),
        ("tidemill_checkpoint_failures_total", "counter",
         "Checkpoints of the ledger that were due and couldn't be made.",
         snapshot.checkpoint_failures),
        ("process_cpu_seconds_total", "counter", "CPU time of the serving processes.",
         snapshot.process_ns / 1e9),
        ("process_resident_memory_bytes", "gauge", "Memory of the serving processes.",
         snapshot.memory_bytes),
    ]  # fmt: skip
    return [Family(name, kind, about, [({}, value)]) for name, kind, about, value in values]


def staleness(seconds: float) -> Family:
    """For how long the ledger couldn't be read, so that nothing new is known."""
    about = "Seconds since the ledger was last read, while it can't be."
    return Family("tidemill_ledger_stale_seconds", "gauge", about, [({}, seconds)])


def _by_endpoint(counts: Mapping[str, int]) -> list[tuple[Labels, int]]:
    return [({"endpoint": endpoint}, count) for endpoint, count in sorted(counts.items())]


def _by_status(series: SeriesTotals) -> Iterable[tuple[Labels, int]]:
    counts = {"200": series.requests - sum(series.errors.values()), **series.errors}
    for status, count in sorted(counts.items()):
        yield {**_labels(series), "status": status}, count


def _costs(snapshot: Snapshot, price: Price) -> Family:
    is_priced = price.cpu_hour or price.memory_gb_hour
    about = "Cost of requests (marginal), and with the share of all else (full)."
    points: list[tuple[Labels, float]] = []
    for cost in serving_costs(snapshot, price) if is_priced else ():
        labels = {"endpoint": cost.endpoint, "version": cost.version, "currency": price.currency}
        points.append(({**labels, "kind": "marginal"}, cost.marginal))
        points.append(({**labels, "kind": "full"}, cost.full))
    return Family("tidemill_cost_total", "counter", about, points)


def _labels(series: SeriesTotals) -> dict[str, str]:
    return {"endpoint": series.endpoint, "version": series.version}


def _info(live: LiveVersion) -> dict[str, str]:
    return {
        "endpoint": live.endpoint,
        "version": live.version,
        "model": live.model,
        "contract": live.contract,
        "role": live.role,
        "watermark": live.watermark,
    }
