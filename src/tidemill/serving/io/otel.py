"""Export metrics, and a span for each request, through OpenTelemetry (extra `otel`).

The variables that OpenTelemetry defines say where and how: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_METRIC_EXPORT_INTERVAL, OTEL_TRACES_SAMPLER and the others. Only a server that exports imports this
module.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tidemill.core.errors import UsageError
from tidemill.serving.io.access_log import AccessLine
from tidemill.serving.metric_families import BucketCounts, Family, Labels

_log = logging.getLogger("tidemill.serving")
_SCOPE = "tidemill.serving"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
# Requests whose span waits to be made; beyond that they have none, which is counted.
_MOST_WAITING = 20_000
_PAUSE_S = 1.0
_PROPAGATOR = TraceContextTextMapPropagator()


class Telemetry:
    """Exports what `families` returns, which is called in a thread of its own; `add` queues a request.

    UsageError for an interval in the environment that isn't a number.
    """

    def __init__(
        self,
        families: Callable[[], Sequence[Family]],
        *,
        service: str,
        metrics: MetricExporter | None = None,
        spans: SpanExporter | None = None,
    ) -> None:
        self.drops = 0
        self._interval_s = _interval_s()
        self._families = families
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        named = "OTEL_SERVICE_NAME" in os.environ
        self._resource = Resource.create({} if named else {"service.name": service})
        self._metrics = metrics or OTLPMetricExporter()
        self._provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(spans or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_SCOPE)
        self._since = time.time_ns()
        self._waiting: deque[AccessLine] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to export."""
        self._thread.start()

    def add(self, line: AccessLine) -> None:
        """Queue the span of a request."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(line)
        else:
            self.drops += 1

    def close(self) -> None:
        """Export what is left, and end."""
        self._stop.set()
        self._thread.join()
        self._provider.shutdown()
        self._metrics.shutdown()

    def _run(self) -> None:
        due = time.monotonic() + self._interval_s
        while not self._stop.wait(_PAUSE_S):
            self._make_spans()
            if time.monotonic() >= due:
                self._export_metrics()
                due = time.monotonic() + self._interval_s
        self._make_spans()
        self._export_metrics()

    def _make_spans(self) -> None:
        for _ in range(len(self._waiting)):
            line = self._waiting.popleft()
            parent = _PROPAGATOR.extract({"traceparent": line.traceparent.decode("latin-1")})
            end = int(line.at * 1e9)
            span = self._tracer.start_span(
                f"predict {line.endpoint}" if line.endpoint else "request",
                context=parent,
                kind=SpanKind.SERVER,
                start_time=end - line.wall_ns,
                attributes={
                    "http.response.status_code": line.status,
                    "tidemill.request": line.request.decode("latin-1"),
                    "tidemill.endpoint": line.endpoint,
                    "tidemill.version": line.version,
                    "tidemill.rows": line.rows,
                    "tidemill.cpu_us": line.cpu_ns / 1000,
                },
            )
            if line.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            span.end(end)

    def _export_metrics(self) -> None:
        try:
            metrics = [to_metric(each, self._since, time.time_ns()) for each in self._families()]
            scope = ScopeMetrics(InstrumentationScope(_SCOPE), metrics, "")
            data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
            self._metrics.export(data)
        # An exporter may raise anything; what it can't send is sent with the next totals.
        except Exception:  # noqa: BLE001
            _log.warning("metrics could not be exported", exc_info=True)


def _interval_s() -> float:
    given = os.environ.get(_INTERVAL, "60000")
    if not given.isdecimal() or not int(given):
        raise UsageError(f"{_INTERVAL} = {given!r} is not a number of milliseconds")
    return int(given) / 1000


def to_metric(family: Family, since: int, now: int) -> Metric:
    """A metric as OpenTelemetry has it, which counts from a time to another (Unix nanoseconds)."""
    cumulative = AggregationTemporality.CUMULATIVE
    numbers = [
        NumberDataPoint(labels, since, now, value)
        for labels, value in family.points
        if not isinstance(value, BucketCounts)
    ]
    if family.kind == "histogram":
        points = [
            _histogram_point(labels, value, since, now)
            for labels, value in family.points
            if isinstance(value, BucketCounts)
        ]
        return Metric(family.name, family.about, "", Histogram(points, cumulative))
    if family.kind == "gauge":
        return Metric(family.name, family.about, "", Gauge(numbers))
    return Metric(family.name, family.about, "", Sum(numbers, cumulative, True))


def _histogram_point(
    labels: Labels, found: BucketCounts, since: int, now: int
) -> HistogramDataPoint:
    filled = [at for at, count in enumerate(found.counts) if count]
    ends = [0.0, *found.ends, found.ends[-1]]
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=since,
        time_unix_nano=now,
        count=sum(found.counts),
        sum=found.total or 0.0,
        bucket_counts=found.counts,
        explicit_bounds=found.ends,
        # Of what is counted, only the buckets are known.
        min=ends[filled[0]] if filled else 0.0,
        max=ends[filled[-1] + 1] if filled else 0.0,
    )
