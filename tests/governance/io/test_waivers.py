"""Waivers in force are read from the ledger; an expired one costs nothing more."""

from __future__ import annotations

from tests.governance.test_waivers import ended, waived
from tidemill.governance.io.waivers import RecordedWaivers, load_waivers
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import run_started_event


def in_force(ledger: MemoryLedger, now: float) -> list[str]:
    return [waiver.id for waiver in load_waivers(ledger, "prod", now)]


def test_waivers_in_force_are_read() -> None:
    ledger = MemoryLedger()
    ledger.append([EnvironmentCreated(environment="prod")], now=0.0)
    assert in_force(ledger, 0.0) == []
    ledger.append([waived("w1", 100.0), waived("w2", 300.0), waived("w3", 300.0)], now=1.0)
    assert in_force(ledger, 50.0) == ["w1", "w2", "w3"]
    ledger.append([ended("w3")], now=60.0)
    assert in_force(ledger, 150.0) == ["w2"]
    assert in_force(ledger, 301.0) == []


def test_a_clock_that_goes_back_revives_nothing() -> None:
    ledger = MemoryLedger()
    ledger.append([EnvironmentCreated(environment="prod"), waived("w1", 100.0)], now=0.0)
    ledger.append([run_started_event("r1")], now=150.0)
    ledger.append([waived("w2", 100.0)], now=20.0)
    assert in_force(ledger, 30.0) == ["w2"]


def test_who_asks_again_reads_only_what_is_new() -> None:
    ledger = MemoryLedger()
    kept = RecordedWaivers(ledger, "prod")
    events: list[tuple[float, Event]] = [
        (0.0, EnvironmentCreated(environment="prod")),
        (1.0, waived("w1", 100.0)),
        (2.0, waived("w2", 300.0)),
        (50.0, run_started_event("r1")),
        (60.0, run_started_event("r2")),
        (20.0, waived("w3", 90.0)),
        (55.0, run_started_event("r3")),
        (70.0, ended("w2")),
        (150.0, run_started_event("r4")),
        (80.0, waived("w4", 300.0)),
    ]
    assert kept.in_force(0.0) == ()
    # The clock goes back in between.
    times = (0.0, 30.0, 50.0, 60.0, 99.0, 40.0, 101.0, 120.0, 90.0, 160.0)
    for (at, event), now in zip(events, times, strict=True):
        ledger.append([event], now=at)
        assert [each.id for each in kept.in_force(now)] == in_force(ledger, now)
    assert [each.id for each in kept.in_force(200.0)] == ["w4"]
