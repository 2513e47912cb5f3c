"""Write counters in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from tidemill.runs.totals import Price
from tidemill.serving.buckets import batch_ends, latency_ends
from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.metering import ServingCost, serving_costs

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# A line: the suffix of the name, the labels, the value.
_Line: TypeAlias = tuple[str, Mapping[str, str], float]
# A metric: its name, its type, what it is, and its lines.
_Family: TypeAlias = tuple[str, str, str, list[_Line]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVersion:
    """A version that answers at an endpoint: what `tidemill_model_info` says of it.

    `role` is "live", "canary" or "shadow". `watermark` is the newest partition that it was trained on.
    """

    endpoint: str
    version: str
    model: str
    contract: str
    role: str = "live"
    watermark: str = ""


def metrics_text(snapshot: Snapshot, live: Iterable[LiveVersion], price: Price) -> str:
    """All metrics of a server."""
    info: _Family = ("tidemill_model_info", "gauge", "Versions that answer at an endpoint.",
                     [("", _info(each), 1) for each in live])  # fmt: skip
    families = (
        *_request_families(snapshot.series),
        *_cost_families(snapshot, price),
        *_server_families(snapshot),
        info,
    )
    return "".join(_family(*family) for family in families)


def _request_families(
    series: Sequence[SeriesTotals],
) -> Iterator[_Family]:
    yield ("tidemill_requests_total", "counter", "Answered requests by status.",
           [line for each in series for line in _by_status(each)])  # fmt: skip
    yield ("tidemill_rows_total", "counter", "Rows that were predicted.",
           [("", _labels(each), each.rows) for each in series])  # fmt: skip
    yield ("tidemill_request_duration_seconds", "histogram", "Time to answer a request.",
           [line for each in series for line in
            _histogram(each, each.latency, latency_ends(), each.wall_ns / 1e9)])  # fmt: skip
    yield ("tidemill_batch_requests", "histogram", "Requests that one call of the model answered.",
           [line for each in series for line in
            _histogram(each, each.batches, batch_ends(), None)])  # fmt: skip
    for name, field, about in (
        ("tidemill_cache_hits_total", "cache_hits", "Rows that the answer cache answered."),
        ("tidemill_cache_misses_total", "cache_misses", "Rows that the answer cache didn't know."),
    ):
        yield (
            name,
            "counter",
            about,
            [("", _labels(each), getattr(each, field)) for each in series],
        )


def _cost_families(snapshot: Snapshot, price: Price) -> Iterator[_Family]:
    yield ("tidemill_request_cpu_seconds_total", "counter", "CPU time of requests.",
           [("", _labels(each), each.charged_ns / 1e9) for each in snapshot.series])  # fmt: skip
    yield ("tidemill_idle_cpu_seconds_total", "counter", "Share of the CPU time beside requests.",
           [("", _labels(each), each.idle_ns / 1e9) for each in snapshot.series])  # fmt: skip
    yield ("tidemill_memory_byte_seconds_total", "counter", "Share of the memory, over time.",
           [("", _labels(each), each.memory_byte_s) for each in snapshot.series])  # fmt: skip
    if price.cpu_hour or price.memory_gb_hour:
        costs = serving_costs(snapshot, price)
        yield ("tidemill_cost_total", "counter",
               "Cost of requests (marginal), and with the share of all else (full).",
               [line for each in costs for line in _costs(each, price.currency)])  # fmt: skip


def _server_families(snapshot: Snapshot) -> Iterator[_Family]:
    yield ("tidemill_refusals_total", "counter", "Replies that belong to no endpoint, by status.",
           [("", {"status": status}, count) for status, count in
            sorted(snapshot.refusals.items())])  # fmt: skip
    for name, kind, about, value in (
        ("tidemill_in_flight", "gauge", "Requests that are being answered.", snapshot.in_flight),
        ("tidemill_processes", "gauge", "Serving processes.", snapshot.processes),
        ("tidemill_unshared_cpu_seconds_total", "counter", "CPU time while no version was loaded.",
         snapshot.unshared_ns / 1e9),
        ("tidemill_log_drops_total", "counter", "Lines that the access log dropped.",
         snapshot.log_drops),
        ("process_cpu_seconds_total", "counter", "CPU time of the serving processes.",
         snapshot.process_ns / 1e9),
        ("process_resident_memory_bytes", "gauge", "Memory of the serving processes.",
         snapshot.memory_bytes),
    ):  # fmt: skip
        yield name, kind, about, [("", {}, value)]


def _by_status(series: SeriesTotals) -> Iterator[_Line]:
    counts = {"200": series.requests - sum(series.errors.values()), **series.errors}
    for status, count in sorted(counts.items()):
        yield "", {**_labels(series), "status": status}, count


def _histogram(
    series: SeriesTotals, counts: Sequence[int], ends: Sequence[float], total: float | None
) -> Iterator[_Line]:
    labels, sums = _labels(series), list(accumulate(counts))
    for end, below in zip(ends, sums, strict=False):
        yield "_bucket", {**labels, "le": _number(end)}, below
    yield "_bucket", {**labels, "le": "+Inf"}, sums[-1]
    if total is not None:
        yield "_sum", labels, total
    yield "_count", labels, sums[-1]


def _costs(cost: ServingCost, currency: str) -> Iterator[_Line]:
    labels = {"endpoint": cost.endpoint, "version": cost.version, "currency": currency}
    for kind, amount in (("marginal", cost.marginal), ("full", cost.full)):
        yield "", {**labels, "kind": kind}, amount


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


def _family(name: str, kind: str, about: str, lines: Sequence[_Line]) -> str:
    if not lines:
        return ""
    head = f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    return head + "".join(f"{name}{end}{_braces(labels)} {_number(value)}\n"
                          for end, labels, value in lines)  # fmt: skip


def _braces(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    clean = text.encode(errors="replace").decode()
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value)
