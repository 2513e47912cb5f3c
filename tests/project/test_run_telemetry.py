"""Runs arrive at a collector of OpenTelemetry, and none fails because of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# The extra `otel` is no part of what users must install.
pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry isn't installed: tidemill[otel]")

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.collector import Collector, collecting
from tests.support.tides import Tides
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.run import Receipt
from tidemill.operations.metrics_settings import MetricsSettings
from tidemill.project import run_telemetry
from tidemill.project.project import Project

# As long as the threads live, nothing waits for so long.
LONG = 3_600.0
BROKEN = '(value.cast(pl.String) + "x").cast(pl.Int64).cast(pl.Float64)'


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(run_telemetry, "WITHIN_S", LONG)
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.address)
        # What is refused is tried again for a while, which only a real collector is worth.
        monkeypatch.setattr("tidemill.operations.io.run_telemetry._TIMEOUT_S", 1)
        yield found


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    found = Tides(tmp_path)
    found.send(0)
    return found


def run(tides: Tides, act: Any = None) -> Receipt:
    project = exporting(tides)
    try:
        if act is not None:
            act(project)
        return project.run(raise_on_failure=False)
    finally:
        project.close()


def exporting(tides: Tides) -> Project:
    project = tides.open()
    space = project.workspace
    space.settings = replace(
        space.settings, tables={**space.settings.tables, "metrics": MetricsSettings(telemetry=True)}
    )
    return project


def names(collector: Collector) -> list[str]:
    return sorted(span.name for span in collector.spans)


def runs(collector: Collector) -> set[str]:
    return {value(span, "tidemill.run") for span in collector.spans}


def value(span: Any, key: str) -> Any:
    return next(each.value.string_value for each in span.attributes if each.key == key)


def test_a_run_is_a_trace_with_metrics(tides: Tides, collector: Collector) -> None:
    receipt = run(tides)
    assert receipt.messages == ()
    assert names(collector) == [
        "run tides", "stage daily", "stage doubled", "stage raw",
        "step daily", "step doubled", "step raw",
    ]  # fmt: skip
    assert collector.services == {"tides"}
    assert runs(collector) == {receipt.run}
    by_name = {span.name: span for span in collector.spans}
    root = by_name["run tides"]
    assert root.parent_span_id == b""
    assert by_name["stage raw"].parent_span_id == root.span_id
    assert by_name["step daily"].parent_span_id == by_name["stage daily"].span_id
    assert len({span.trace_id for span in collector.spans}) == 1
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert root.status.code == Status.STATUS_CODE_OK
    metrics = {each.name: each for each in collector.metrics}
    [point] = metrics["tidemill_runs_total"].sum.data_points
    assert point.as_double == 1 or point.as_int == 1
    assert {each.key for each in point.attributes} == {"workflow", "environment", "status"}


def test_what_failed_says_why(tides: Tides, collector: Collector) -> None:
    tides.edit("value * 2", BROKEN)
    run(tides)
    by_name = {span.name: span for span in collector.spans}
    failed = by_name["stage doubled"].status
    assert failed.code == by_name["run tides"].status.code == Status.STATUS_CODE_ERROR
    assert failed.message


def test_nothing_is_exported_unless_the_settings_say_so(tides: Tides, collector: Collector) -> None:
    tides.run()
    assert collector.spans == []
    # What ran before isn't exported later.
    tides.send(1)
    receipt = run(tides)
    assert runs(collector) == {receipt.run}


def test_runs_wait_for_a_collector_that_is_away(tides: Tides, collector: Collector) -> None:
    collector.status = 503
    first = run(tides)
    assert first.exit_code == 0
    assert first.messages == (
        "OpenTelemetry: runs wait to be exported: the collector doesn't accept them",
    )
    collector.status = 200
    tides.send(1)
    second = run(tides)
    assert (second.messages, runs(collector)) == ((), {first.run, second.run})
    sent = len(collector.spans)
    assert len({span.span_id for span in collector.spans}) == sent
    tides.send(2)
    third = run(tides)
    assert {value(span, "tidemill.run") for span in collector.spans[sent:]} == {third.run}


def test_a_collector_that_hangs_isnt_waited_for(
    tides: Tides, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.gate.clear()
    monkeypatch.setattr(run_telemetry, "WITHIN_S", 0.0)
    receipt = run(tides)
    assert receipt.exit_code == 0
    assert receipt.messages == (
        "OpenTelemetry: runs wait to be exported: the collector didn't answer in time",
    )


def test_runs_that_wait_for_too_long_are_counted(
    tides: Tides, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.status = 503
    first = run(tides)
    monkeypatch.setattr(run_telemetry, "_MOST_WAITING", 1)
    collector.status = 200
    tides.send(1)
    second = run(tides)
    assert second.messages == ("OpenTelemetry: 1 run waited for too long and won't be exported",)
    assert runs(collector) == {second.run} != {first.run}
    tides.send(2)
    assert run(tides).messages == ()


def test_one_process_exports_at_a_time(tides: Tides, collector: Collector) -> None:
    def hold(project: Project) -> None:
        tools = project.tools
        holder = this_process("telemetry")
        tools.ledger.acquire("telemetry", holder, now=tools.clock(), ttl=LONG, dead=is_dead)

    assert run(tides, hold).messages == ()
    assert collector.spans == []


def test_the_extra_may_be_missing(
    tides: Tides, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tidemill.operations.io.run_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert run(tides).messages == ("OpenTelemetry needs pip install 'tidemill[otel]'",)


def test_a_bug_fails_no_run(
    tides: Tides, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(run_telemetry, "run_spans", fail)
    assert run(tides).messages == ("OpenTelemetry: runs wait to be exported: RuntimeError",)
