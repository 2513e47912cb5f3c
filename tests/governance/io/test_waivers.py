"""Waivers in force are read from the ledger; an expired one costs nothing more."""

from __future__ import annotations

from tests.governance.test_waivers import ended, waived
from tidemill.governance.io.waivers import load_waivers
from tidemill.ledger.event import EnvironmentCreated
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
