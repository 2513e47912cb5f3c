"""The parts add up to the whole: nothing that a process used is lost or counted twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.price import Price
from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.metering import (
    Baseline,
    MeteredWindow,
    charge,
    served_event,
    serving_costs,
    split,
)

NS = st.integers(0, 10**11)
# The length of a window that counts in full.
WHOLE = 10**10


@st.composite
def windows(draw: st.DrawFn) -> MeteredWindow:
    # Without a request nothing is measured.
    parts = st.just((0, 0)) | st.tuples(st.integers(1, 10**6), st.integers(0, 10**10))
    requests = draw(st.lists(parts, max_size=5))
    return MeteredWindow(
        wall_ns=draw(NS),
        process_ns=draw(NS),
        background_ns=draw(NS),
        requests=tuple(count for count, _ in requests),
        measured=tuple(measured for _, measured in requests),
        resident=tuple(draw(st.booleans()) for _ in requests),
        refusals=draw(st.integers(0, 100)),
        memory_bytes=draw(st.integers(0, 10**12)),
    )


BASELINES = st.builds(
    Baseline,
    idle_rate=st.floats(0, 2),
    overhead_ns=st.floats(0, 10**7),
    is_measured=st.booleans(),
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


@given(windows(), BASELINES)
def test_charges_add_up_to_the_process(window: MeteredWindow, baseline: Baseline) -> None:
    found = charge(window, baseline)
    assert sum(found.requests) + sum(found.idle) + found.unshared == window.process_ns
    held = window.memory_bytes * window.wall_ns // 10**9
    assert sum(found.memory_byte_s) == (held if any(window.resident) else 0)
    assert all(part >= 0 for part in (*found.requests, *found.idle, *found.memory_byte_s))
    assert found.unshared == 0 or not any(window.resident)
    # Only what had requests is charged for requests, only what is loaded for the rest.
    assert all(n or not part for n, part in zip(window.requests, found.requests, strict=True))
    assert all(r or not part for r, part in zip(window.resident, found.idle, strict=True))


@given(windows(), BASELINES)
def test_requests_are_charged_what_was_measured_and_an_equal_part_of_the_rest(
    window: MeteredWindow, baseline: Baseline
) -> None:
    found = charge(window, baseline)
    own, charged = sum(window.measured), sum(found.requests)
    left = window.process_ns - min(window.background_ns, window.process_ns)
    rest = [part - own for part, own in zip(found.requests, window.measured, strict=True)]
    if own > left:
        assert charged <= own
        return
    each = [part / n for part, n in zip(rest, window.requests, strict=True) if n]
    assert min(rest, default=0) >= 0
    assert max(each, default=0) - min(each, default=0) <= 2


def window(
    *measured: int, process: int, background: int = 0, wall: int = WHOLE, refusals: int = 0
) -> MeteredWindow:
    return MeteredWindow(
        wall_ns=wall,
        process_ns=process,
        background_ns=background,
        requests=tuple(int(each > 0) for each in measured),
        measured=measured,
        resident=(True,) * len(measured),
        refusals=refusals,
        memory_bytes=0,
    )


def test_what_isnt_measured_costs_every_request_the_same() -> None:
    found = charge(window(100, 300, process=800), Baseline(idle_rate=0.0))
    assert (found.requests, found.idle) == ((300, 500), (0, 0))


def test_before_there_was_a_window_without_requests_they_are_charged_what_is_usual() -> None:
    found = charge(window(100, 300, process=660, wall=10_000), Baseline(overhead_ns=50.0))
    assert (found.requests, found.idle) == ((150, 350), (80, 80))
    found = charge(window(100, 300, process=800, wall=10_000), Baseline(overhead_ns=50.0))
    assert (found.requests, found.idle) == ((250, 450), (50, 50))


def test_what_the_process_uses_without_requests_is_charged_to_no_request() -> None:
    known = Baseline(overhead_ns=20.0).after(window(0, 0, process=500))
    assert known.is_measured
    assert known.idle_rate == pytest.approx(500 / WHOLE)
    # Many requests: the idle part is known, the rest is theirs.
    busy = window(100, 0, process=2_100)
    assert charge(busy, known).requests == (1_600, 0)
    assert charge(busy, known).idle == (250, 250)
    assert known.after(busy).overhead_ns == pytest.approx(20 + 0.3 * 1_480)
    # One request in a quiet window costs what is usual, not what the idle part varies by.
    quiet = window(100, 0, process=650)
    assert charge(quiet, known).requests == (120, 0)
    assert charge(quiet, known).idle == (265, 265)
    assert known.after(quiet) == known
    # Less than ever is idle.
    assert charge(window(100, 0, process=110), known).requests == (110, 0)


def test_refused_requests_are_charged_to_no_other() -> None:
    found = charge(window(100, process=500, refusals=3), Baseline(idle_rate=0.0))
    assert (found.requests, found.idle) == ((200,), (300,))
    flood = window(0, process=500, refusals=3)
    assert charge(flood, Baseline()).idle == (500,)
    assert Baseline().after(flood).idle_rate == Baseline().idle_rate


def test_clocks_that_differ_a_little_lose_nothing() -> None:
    found = charge(window(100, 300, process=380), Baseline())
    assert (found.requests, found.idle) == ((95, 285), (0, 0))


def test_loading_a_model_is_charged_to_no_request() -> None:
    found = charge(window(100, process=10_200, background=10_000), Baseline(idle_rate=0.0))
    assert (found.requests, found.idle) == ((200,), (10_000,))


def test_the_idle_rate_follows_windows_without_requests() -> None:
    known = Baseline(idle_rate=0.1, is_measured=True)
    assert known.after(window(0, process=1, wall=0)) == known
    assert known.after(window(0, process=500, background=500)).idle_rate == pytest.approx(0.07)


def test_a_short_window_counts_little_and_one_before_a_version_is_loaded_not_at_all() -> None:
    known = Baseline(idle_rate=0.1)
    short = known.after(window(0, process=WHOLE // 100, wall=WHOLE // 100))
    assert short.idle_rate == pytest.approx(0.1 + 0.01 * 0.9)
    assert not short.is_measured
    assert known.after(replace(window(0, process=WHOLE), resident=(False,))) == known
    busy = window(10**6, process=WHOLE, wall=WHOLE // 100)
    assert known.after(busy).overhead_ns < known.after(replace(busy, wall_ns=WHOLE)).overhead_ns


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
