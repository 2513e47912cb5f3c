"""Reports of hand-made schedules: a server that stalls shows, whoever asks it."""

from __future__ import annotations

import pytest

from tidemill.serving.load_plan import LoadPlan
from tidemill.serving.load_report import LoadReport, LoadTally, ServerUsage, load_report

MS = 1_000_000
# A server that needs 1 ms for a request, one after the other, and stalls from second 4 to second 5.
STALL, STALL_END = 4_000 * MS, 5_000 * MS


def answered_at(sent: int, free: int) -> int:
    start = max(sent, free)
    return STALL_END + MS if STALL <= start < STALL_END else start + MS


def report(plan: LoadPlan, tally: LoadTally, usage: ServerUsage | None = None) -> LoadReport:
    return load_report(
        plan,
        tally,
        endpoint="demand",
        url="http://127.0.0.1:8000",
        seconds=plan.duration,
        generator_cpu_s=1.0,
        usage=usage,
    )


def open_loop(plan: LoadPlan) -> LoadReport:
    tally, free = LoadTally(), 0
    for number in range(plan.requests):
        due = plan.due(number)
        free = answered_at(due, free)
        tally.answer(due, due, free, 200)
    return report(plan, tally)


def closed_loop(plan: LoadPlan) -> LoadReport:
    tally, now = LoadTally(), 0
    while now < plan.end:
        answered = answered_at(now, now)
        tally.answer(now, now, answered, 200)
        now = answered
    return report(plan, tally)


def test_a_stall_shows_in_an_open_loop() -> None:
    found = open_loop(LoadPlan(rate=100, duration=10))
    # A tenth of the requests were due while the server stalled for a second, and waited half of it.
    assert found.latency_ms["p50"] == pytest.approx(1, rel=0.01)
    assert found.latency_ms["p99"] > 800
    assert found.latency_ms["max"] == pytest.approx(1001, rel=0.01)
    assert found.corrected_ms == {}
    assert found.interval_ms is None


def test_a_closed_loop_hides_a_stall_and_the_report_says_what_it_hides() -> None:
    found = closed_loop(LoadPlan(callers=1, duration=10))
    # One of 9,000 requests saw the stall.
    assert found.latency_ms["p99"] == pytest.approx(1, rel=0.01)
    assert found.latency_ms["p99.9"] == pytest.approx(1, rel=0.01)
    assert found.interval_ms == pytest.approx(1, rel=0.01)
    assert found.corrected_ms["p99"] > 800
    assert found.corrected_ms["max"] == found.latency_ms["max"]


def test_lateness_of_the_generator_is_part_of_the_latency() -> None:
    tally = LoadTally()
    tally.answer(0, 30 * MS, 31 * MS, 200)
    found = report(LoadPlan(rate=1, duration=1), tally)
    assert found.latency_ms["p50"] == pytest.approx(31, rel=0.01)
    assert found.service_ms["p50"] == pytest.approx(1, rel=0.01)
    assert found.lateness_ms["p50"] == pytest.approx(30, rel=0.01)


def test_refusals_are_no_latencies_and_lost_requests_are() -> None:
    tally = LoadTally()
    tally.answer(0, 0, MS, 503)
    tally.answer(0, 0, 2 * MS, 200)
    tally.lose(0, 0, 900 * MS, "timeout")
    tally.lose(0, None, 800 * MS, "not sent")
    found = report(LoadPlan(rate=4, duration=1), tally)
    assert (found.sent, found.answered, found.throughput) == (4, 1, 1.0)
    assert found.errors == {"503": 1, "not sent": 1, "timeout": 1}
    assert found.latency_ms["max"] == 900
    assert found.latency_ms["p50"] == pytest.approx(800, rel=0.01)
    assert found.service_ms["p50"] == pytest.approx(2, rel=0.01)


def test_a_report_of_nothing() -> None:
    found = report(LoadPlan(callers=2, duration=1), LoadTally())
    assert (found.sent, found.latency_ms) == (0, {})
    assert found.server_cpu_us is None


def test_cpu_times_are_those_between_two_looks() -> None:
    before = ServerUsage(requests=1000, request_cpu_s=0.5, process_cpu_s=2.0)
    after = ServerUsage(requests=3000, request_cpu_s=0.7, process_cpu_s=2.4)
    found = report(LoadPlan(callers=1, duration=1), LoadTally(), after.since(before))
    assert found.server_cpu_us == pytest.approx(100)
    assert found.server_process_cpu_us == pytest.approx(200)
    idle = report(LoadPlan(callers=1, duration=1), LoadTally(), after.since(after))
    assert idle.server_cpu_us is idle.server_process_cpu_us is None


def test_warnings_say_when_the_figures_are_not_those_of_the_server() -> None:
    tally = LoadTally()
    for _ in range(50):
        tally.answer(0, 0, MS, 200)
    busy, slow = report(LoadPlan(rate=100, duration=1), tally).warnings
    assert "100% of a core" in busy
    assert "50 of 100 requests a second were answered" in slow
    assert report(LoadPlan(rate=5, duration=10), tally).warnings == []
