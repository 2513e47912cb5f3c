from __future__ import annotations

import pytest

from tidemill.ledger.price import Price
from tidemill.serving.counters import Series, Snapshot
from tidemill.serving.load_report import ServerUsage
from tidemill.serving.metric_families import metric_families
from tidemill.serving.metrics_reader import server_usage
from tidemill.serving.metrics_text import metrics_text


def test_the_metrics_of_a_server_are_read_back() -> None:
    totals = []
    for endpoint, version in (("demand", "a"), ("demand", "b"), ('od"d\\', "c")):
        series = Series(endpoint, version)
        series.record(1000, 500)
        series.record(1000, 500, status=503)
        series.charged_ns = 2_000_000_000
        totals.append(series.totals())
    snapshot = Snapshot(processes=3, process_ns=9_000_000_000, series=tuple(totals))
    text = metrics_text(metric_families(snapshot, (), Price()))
    assert server_usage(text, "demand") == ServerUsage(
        requests=4, request_cpu_s=4.0, process_cpu_s=9.0, processes=3
    )
    assert server_usage(text, "other") == ServerUsage(
        requests=0, request_cpu_s=0.0, process_cpu_s=9.0, processes=3
    )


@pytest.mark.parametrize(
    "text", ["", "<html>", 'tidemill_requests_total{endpoint="demand"} many\n']
)
def test_what_is_not_of_tidemill(text: str) -> None:
    assert server_usage(text, "demand") is None


def test_a_server_of_one_process() -> None:
    found = server_usage("process_cpu_seconds_total 1.5 1700000000000\n", "demand")
    assert found == ServerUsage(requests=0, request_cpu_s=0.0, process_cpu_s=1.5)
