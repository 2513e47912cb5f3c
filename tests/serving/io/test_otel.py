"""What Prometheus reads also leaves through OpenTelemetry, with a span for each request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

# The extra `otel` is no part of what contributors must install.
pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry isn't installed: tidemill[otel]")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.serving import ROW, sales_project, served
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.ledger.price import Price
from tidemill.serving.counters import Series, Snapshot
from tidemill.serving.io.access_log import AccessLine
from tidemill.serving.io.otel import Telemetry
from tidemill.serving.metric_families import Family, metric_families

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def families() -> Sequence[Family]:
    series = Series("delays", "v1")
    series.record(300_000, 50_000)
    series.record(2_000_000, 90_000, rows=100)
    return metric_families(Snapshot(series=(series.totals(),), in_flight=2), [], Price())


class Kept(MetricExporter):
    """Keeps what is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        self.found.append(json.loads(metrics_data.to_json()))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        return None


def line(status: int = 200, endpoint: str = "delays", traceparent: bytes = b"") -> AccessLine:
    return AccessLine(
        at=1767225600.5,
        request=b"a-1",
        token="",
        endpoint=endpoint,
        version="v1",
        status=status,
        rows=2,
        wall_ns=1_000_000,
        cpu_ns=50_000,
        bytes_in=1,
        bytes_out=1,
        traceparent=traceparent,
    )


def test_metrics_are_exported() -> None:
    kept = Kept()
    telemetry = Telemetry(families, service="shop", metrics=kept, spans=InMemorySpanExporter())
    telemetry.start()
    telemetry.close()
    (resource,) = kept.found[-1]["resource_metrics"]
    assert resource["resource"]["attributes"]["service.name"] == "shop"
    metrics = {each["name"]: each["data"] for each in resource["scope_metrics"][0]["metrics"]}
    rows = metrics["tidemill_rows_total"]
    assert rows["is_monotonic"]
    assert rows["data_points"][0]["value"] == 101
    assert rows["data_points"][0]["attributes"] == {"endpoint": "delays", "version": "v1"}
    assert metrics["tidemill_in_flight"]["data_points"][0]["value"] == 2
    (duration,) = metrics["tidemill_request_duration_seconds"]["data_points"]
    assert (duration["count"], duration["sum"]) == (2, pytest.approx(0.0023))
    assert len(duration["bucket_counts"]) == len(duration["explicit_bounds"]) + 1
    assert duration["min"] <= 0.0003
    assert duration["max"] >= 0.002


def test_metrics_are_exported_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
    monkeypatch.setattr("tidemill.serving.io.otel._PAUSE_S", 0.001)
    kept = Kept()
    telemetry = Telemetry(families, service="shop", metrics=kept, spans=InMemorySpanExporter())
    telemetry.start()
    until(lambda: len(kept.found) > 2)
    telemetry.close()


def test_requests_are_spans_of_the_callers_trace() -> None:
    spans = InMemorySpanExporter()
    telemetry = Telemetry(families, service="shop", metrics=Kept(), spans=spans)
    telemetry.add(line(traceparent=TRACE))
    telemetry.add(line(status=503))
    telemetry.add(line(status=401, endpoint=""))
    telemetry.start()
    telemetry.close()
    one, two, three = spans.get_finished_spans()
    assert (one.name, three.name) == ("predict delays", "request")
    assert one.parent is not None
    assert f"{one.context.trace_id:x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert f"{one.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert one.start_time is not None
    assert one.end_time == one.start_time + 1_000_000
    assert dict(one.attributes or {})["tidemill.version"] == "v1"
    assert [each.status.is_ok for each in (one, two, three)] == [True, False, True]
    assert two.parent is None


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes what is exported; its address, and the bodies."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/metrics":
                bodies.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_variables_of_opentelemetry_say_where(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, bodies = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    telemetry = Telemetry(families, service="shop")
    telemetry.add(line())
    telemetry.start()
    telemetry.close()
    found = ExportMetricsServiceRequest.FromString(bodies[-1])
    (resource,) = found.resource_metrics
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert named["service.name"] == "other"
    names = {metric.name for metric in resource.scope_metrics[0].metrics}
    assert {"tidemill_requests_total", "tidemill_request_duration_seconds"} <= names


def test_a_server_exports_what_it_serves(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, bodies = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    project = sales_project(tmp_path)
    with served(project, telemetry=True, access_log="access.jsonl") as server:
        assert server.predict([ROW, ROW]).status == 200
    (resource,) = ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert named["service.name"] == "bakeries"
    (rows,) = (m for m in resource.scope_metrics[0].metrics if m.name == "tidemill_rows_total")
    assert rows.sum.data_points[0].as_int == 2
    assert (tmp_path / "access.jsonl").read_text().count("\n") == 1


def test_what_fails_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Sequence[Family]:
        raise OSError("no")

    telemetry = Telemetry(broken, service="shop", metrics=Kept(), spans=InMemorySpanExporter())
    telemetry.start()
    telemetry.close()
    assert "metrics could not be exported" in caplog.text


def test_too_many_requests_have_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.serving.io.otel._MOST_WAITING", 1)
    spans = InMemorySpanExporter()
    telemetry = Telemetry(families, service="shop", metrics=Kept(), spans=spans)
    telemetry.add(line())
    telemetry.add(line())
    telemetry.start()
    telemetry.close()
    assert (telemetry.drops, len(spans.get_finished_spans())) == (1, 1)


@pytest.mark.parametrize("interval", ["60s", "0", ""])
def test_an_interval_is_a_number_of_milliseconds(
    interval: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", interval)
    with pytest.raises(UsageError, match=r"OTEL_METRIC_EXPORT_INTERVAL = .* milliseconds"):
        Telemetry(families, service="bakeries", metrics=Kept(), spans=InMemorySpanExporter())
