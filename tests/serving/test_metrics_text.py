"""The metrics are what Prometheus reads: checked with its own parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tidemill.ledger.price import Price
from tidemill.serving.counters import Series, SeriesTotals, Snapshot, merge
from tidemill.serving.metric_families import LiveVersion, metric_families
from tidemill.serving.metrics_text import metrics_text

PRICE = Price(cpu_hour=3600.0, currency="EUR", memory_gb_hour=36.0)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels; the parser raises on what it can't read."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            place = sample.name, frozenset(sample.labels.items())
            assert place not in found
            found[place] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def served() -> Snapshot:
    series = Series("delays", "v1")
    series.record(300_000, 50_000)
    series.record(2_000_000, 90_000, rows=100)
    series.record(200_000_000_000, 10_000, rows=0, status=503)
    series.record_batch(3)
    series.cache_hits, series.cache_misses = 4, 6
    series.charged_ns, series.idle_ns, series.memory_byte_s = 2 * 10**9, 10**9, 5 * 10**9
    return Snapshot(
        process_ns=4 * 10**9,
        unshared_ns=10**9,
        in_flight=2,
        memory_bytes=70_000_000,
        log_drops=1,
        refusals={"401": 3, "421": 1},
        series=(series.totals(),),
    )


def test_every_metric() -> None:
    live = LiveVersion(
        endpoint="delays",
        version="v1",
        model="delay_model",
        contract="Features 1.0.0",
        watermark="2026-01-07",
        role="live",
    )
    text = metrics_text(metric_families(served(), [live], PRICE))
    place = {"endpoint": "delays", "version": "v1"}
    assert value(text, "tidemill_requests_total", **place, status="200") == 2
    assert value(text, "tidemill_requests_total", **place, status="503") == 1
    assert value(text, "tidemill_rows_total", **place) == 101
    duration = "tidemill_request_duration_seconds"
    assert value(text, f"{duration}_count", **place) == 3
    assert value(text, f"{duration}_sum", **place) == pytest.approx(200.0023)
    assert value(text, f"{duration}_bucket", **place, le="+Inf") == 3
    assert value(text, "tidemill_batch_requests_bucket", **place, le="4") == 1
    assert value(text, "tidemill_cache_hits_total", **place) == 4
    assert value(text, "tidemill_cache_misses_total", **place) == 6
    assert value(text, "tidemill_request_cpu_seconds_total", **place) == 2.0
    assert value(text, "tidemill_idle_cpu_seconds_total", **place) == 1.0
    assert value(text, "tidemill_memory_byte_seconds_total", **place) == 5e9
    cost = {**place, "currency": "EUR"}
    assert value(text, "tidemill_cost_total", **cost, kind="marginal") == 2.0
    assert value(text, "tidemill_cost_total", **cost, kind="full") == pytest.approx(3.05)
    assert value(text, "tidemill_refusals_total", status="421") == 1
    assert value(text, "tidemill_in_flight") == 2
    assert value(text, "tidemill_processes") == 1
    assert value(text, "tidemill_unshared_cpu_seconds_total") == 1.0
    assert value(text, "tidemill_log_drops_total") == 1
    assert value(text, "process_cpu_seconds_total") == 4.0
    assert value(text, "process_resident_memory_bytes") == 70_000_000
    info = {"model": "delay_model", "contract": "Features 1.0.0", "role": "live"}
    assert value(text, "tidemill_model_info", **place, **info, watermark="2026-01-07") == 1


def test_buckets_are_cumulative_and_end_where_the_ledger_says() -> None:
    text = metrics_text(metric_families(served(), [], PRICE))
    found = sorted(
        (float(dict(labels)["le"]), count)
        for (name, labels), count in samples(text).items()
        if name == "tidemill_request_duration_seconds_bucket"
    )
    counts = [count for _, count in found]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    first = next(end for end, count in found if count)
    assert first == pytest.approx(0.000393216)


def test_without_prices_and_requests_there_are_no_costs() -> None:
    assert "tidemill_cost_total" not in metrics_text(metric_families(served(), [], Price()))
    text = metrics_text(metric_families(Snapshot(), [], PRICE))
    assert {name for name, _ in samples(text)} == {
        "tidemill_in_flight",
        "tidemill_processes",
        "tidemill_unshared_cpu_seconds_total",
        "tidemill_log_drops_total",
        "tidemill_checkpoint_failures_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    }


@given(st.text(max_size=20))
def test_any_name_is_a_label(name: str) -> None:
    series = SeriesTotals(endpoint=name, version="v1", rows=5)
    text = metrics_text(metric_families(Snapshot(series=(series,)), [], PRICE))
    shown = name.encode(errors="replace").decode()
    assert value(text, "tidemill_rows_total", endpoint=shown, version="v1") == 5


def test_processes_are_shown_together() -> None:
    text = metrics_text(metric_families(merge([served(), served()]), [], PRICE))
    assert value(text, "tidemill_rows_total", endpoint="delays", version="v1") == 202
    assert value(text, "tidemill_processes") == 2
