"""Send spans of runs and metrics through OpenTelemetry (extra `otel`).

The variables that OpenTelemetry defines say where and how: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_EXPORTER_OTLP_HEADERS and the others. Only who exports imports this module.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tidemill.operations.run_spans import RunSpan
from tidemill.serving.io.otel import to_metric
from tidemill.serving.metric_families import Family

_SCOPE = "tidemill.runs"
# Spans of a request, and the seconds that one may take, tries included.
_BATCH, _TIMEOUT_S = 500, 10


class RunExporter:
    """Sends what it is given to a collector, as the service of that name."""

    def __init__(self, service: str) -> None:
        # What can't be sent is told by whoever exports.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        named = "OTEL_SERVICE_NAME" in os.environ
        self._resource = Resource.create({} if named else {"service.name": service})
        self._scope = InstrumentationScope(_SCOPE)
        self._spans = OTLPSpanExporter(timeout=_TIMEOUT_S)
        self._metrics = OTLPMetricExporter(timeout=_TIMEOUT_S)

    def send_spans(self, spans: Sequence[RunSpan]) -> bool:
        """Send spans; return whether all were accepted."""
        return all(
            self._spans.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS
            for batch in _batches(spans)
        )

    def send_metrics(self, families: Sequence[Family], since: float, now: float) -> bool:
        """Send metrics that count from a time on (Unix seconds); return whether they were accepted."""
        begun, ended = _nanoseconds(since), _nanoseconds(now)
        metrics = [to_metric(each, begun, ended) for each in families]
        data = MetricsData(
            [ResourceMetrics(self._resource, [ScopeMetrics(self._scope, metrics, "")], "")]
        )
        return self._metrics.export(data) is MetricExportResult.SUCCESS

    def close(self) -> None:
        """Close connections; what waits to be tried again is given up."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown()

    def _readable(self, span: RunSpan) -> ReadableSpan:
        status = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK)
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace, span.span),
            parent=_context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.INTERNAL,
            status=status,
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=self._scope,
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: float) -> int:
    return max(0, int(at * 1e9))


def _batches(spans: Sequence[RunSpan]) -> Iterator[Sequence[RunSpan]]:
    for first in range(0, len(spans), _BATCH):
        yield spans[first : first + _BATCH]
