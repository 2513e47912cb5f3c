"""The parts add up to the whole: nothing that a process used is lost or counted twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.runs.totals import Price
from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.metering import (
    MeteredWindow,
    charge,
    next_idle_rate,
    served_event,
    serving_costs,
    split,
)

NS = st.integers(0, 10**11)


@st.composite
def windows(draw: st.DrawFn) -> MeteredWindow:
    measured = draw(st.lists(st.integers(0, 10**10), max_size=5))
    return MeteredWindow(
        wall_ns=draw(NS),
        process_ns=draw(NS),
        background_ns=draw(NS),
        measured=tuple(measured),
        resident=tuple(draw(st.booleans()) for _ in measured),
        memory_bytes=draw(st.integers(0, 10**12)),
    )


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**9), max_size=20))
def test_parts_add_up_exactly(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == (total if weights else 0)
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = total * weight / whole if whole else total / len(weights)
        assert abs(part - exact) <= 1 + exact * 1e-12
        assert part >= 0


@given(windows(), st.floats(0, 2))
def test_charges_add_up_to_the_process(window: MeteredWindow, idle_rate: float) -> None:
    found = charge(window, idle_rate)
    assert sum(found.requests) + sum(found.idle) + found.unshared == window.process_ns
    held = window.memory_bytes * window.wall_ns // 10**9
    assert sum(found.memory_byte_s) == (held if any(window.resident) else 0)
    assert all(part >= 0 for part in (*found.requests, *found.idle, *found.memory_byte_s))
    assert found.unshared == 0 or not any(window.resident)
    # Only what had requests is charged for requests, only what is loaded for the rest.
    assert all(m or not part for m, part in zip(window.measured, found.requests, strict=True))
    assert all(r or not part for r, part in zip(window.resident, found.idle, strict=True))


@given(windows(), st.floats(0, 2))
def test_requests_are_charged_in_proportion_and_at_least_what_was_measured(
    window: MeteredWindow, idle_rate: float
) -> None:
    found = charge(window, idle_rate)
    own, charged = sum(window.measured), sum(found.requests)
    left = window.process_ns - window.background_ns
    if own <= left:
        assert charged >= own
    for measured, part in zip(window.measured, found.requests, strict=True):
        assert abs(part - (charged * measured / own if own else 0)) <= 1 + 1e-9 * part


def window(*measured: int, process: int, background: int = 0, wall: int = 10_000) -> MeteredWindow:
    return MeteredWindow(
        wall_ns=wall,
        process_ns=process,
        background_ns=background,
        measured=measured,
        resident=(True,) * len(measured),
        memory_bytes=0,
    )


def test_a_busy_window_scales_the_measured_parts() -> None:
    found = charge(window(100, 300, process=800), 0.0)
    assert (found.requests, found.idle) == ((200, 600), (0, 0))


def test_what_the_process_uses_without_requests_is_charged_to_no_request() -> None:
    rate = next_idle_rate(None, window(0, 0, process=500))
    assert rate == 0.05
    found = charge(window(100, 0, process=650), rate)
    assert (found.requests, found.idle) == ((150, 0), (250, 250))
    # One request in a quiet window costs what it costs, not the whole window.
    found = charge(window(100, 0, process=400), rate)
    assert (found.requests, found.idle) == ((100, 0), (150, 150))


def test_loading_a_model_is_charged_to_no_request() -> None:
    found = charge(window(100, process=10_200, background=10_000), 0.0)
    assert (found.requests, found.idle) == ((200,), (10_000,))


def test_the_idle_rate_follows_windows_without_requests() -> None:
    assert next_idle_rate(None, window(5, process=500)) is None
    assert next_idle_rate(None, window(0, process=1, wall=0)) is None
    assert next_idle_rate(0.1, window(0, process=500, background=500)) == pytest.approx(0.07)


def totals(**counts: Any) -> SeriesTotals:
    return SeriesTotals(endpoint="delays", version="v1", **counts)


def test_a_period_is_recorded_with_its_prices() -> None:
    series = totals(
        requests=10, rows=20, charged_ns=2 * 10**9, idle_ns=10**9, memory_byte_s=6 * 10**9
    )
    price = Price(cpu_hour=3600.0, memory_gb_hour=360.0, currency="EUR")
    silent = SeriesTotals(endpoint="demand", version="v1")
    event = served_event(
        Snapshot(series=(series, silent)), environment="prod", since=1.0, until=61.0, price=price
    )
    (usage,) = event.usages
    assert (usage.endpoint, usage.requests, usage.rows) == ("delays", 10, 20)
    assert (usage.cpu_s, usage.idle_cpu_s, usage.memory_gb_s) == (2.0, 1.0, 6.0)
    assert (usage.latency, usage.errors) == ((), {})
    assert (event.cpu_hour, event.memory_gb_hour, event.currency) == (3600.0, 360.0, "EUR")
    cost, none = serving_costs(Snapshot(series=(series, silent)), price)
    assert (cost.marginal, round(cost.full, 9)) == (2.0, 3.6)
    assert cost.marginal_per_row == 0.1
    assert cost.full_per_row == pytest.approx(0.18)
    assert (none.full, none.marginal_per_row, none.full_per_row) == (0.0, None, None)


def test_latencies_are_recorded_without_the_empty_buckets_at_the_end() -> None:
    counts = (0, 3, 0, 1, *(0,) * 40)
    event = served_event(
        Snapshot(series=(SeriesTotals(endpoint="d", version="v", requests=4, latency=counts),)),
        environment="prod",
        since=0.0,
        until=1.0,
        price=Price(),
    )
    assert event.usages[0].latency == (0, 3, 0, 1)
