"""A watch of the ledger goes on whatever happens to the ledger."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tidemill.core.errors import StorageError
from tidemill.ledger.event import EnvironmentCreated
from tidemill.ports.ledger import State
from tidemill.serving.io.live_watch import LiveWatch
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import PROD


class Changeable:
    """A ledger that may be replaced, or fail."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self.ledger, name)


def made(name: str) -> EnvironmentCreated:
    return EnvironmentCreated(environment=f"dev-{name}")


def watch(ledger: Any, seen: list[State]) -> LiveWatch:
    found = LiveWatch(ledger, PROD, [EnvironmentCreated.__name__], seen.append, poll_s=60)
    found.start(ledger.state(PROD))
    found.close()
    return found


@pytest.mark.parametrize("error", [StorageError("it is gone"), RuntimeError("it is gone")])
def test_a_ledger_that_cannot_be_read_is_a_fault_until_it_can(error: Exception) -> None:
    ledger, seen = Changeable(), list[State]()
    ledger.append([made("v")], now=1.0)
    followed = watch(ledger, seen)
    ledger.error = error
    followed.poll()
    assert "it is gone" in followed.fault or "RuntimeError" in followed.fault
    ledger.error = None
    ledger.append([made("b")], now=2.0)
    followed.poll()
    assert (followed.fault, [state.seq for state in seen]) == ("", [2])


@pytest.mark.parametrize("error", [StorageError("it is gone"), RuntimeError("it is gone")])
def test_a_look_that_was_asked_for_is_made_once_it_can_be(error: Exception) -> None:
    ledger, seen = Changeable(), list[State]()
    ledger.append([made("v")], now=1.0)
    followed = watch(ledger, seen)
    followed.look_again()
    ledger.error = error
    followed.poll()
    ledger.error = None
    followed.poll()
    followed.poll()
    assert [state.seq for state in seen] == [1]


def test_it_says_since_when_the_ledger_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    ledger = Changeable()
    ledger.append([made("v")], now=1.0)
    followed = watch(ledger, [])

    def said() -> tuple[float | None, str]:
        return followed.stale_since, followed.fault

    assert said() == (None, "")
    now = 1100.0
    followed.poll()
    now, ledger.error = 1101.0, StorageError("it is gone")
    followed.poll()
    assert said() == (1100.0, "it is gone")
    now, ledger.error = 1200.0, None
    followed.poll()
    assert said() == (None, "")
    # One that hangs answers no look at all.
    now = 1200.0 + 3 * followed.poll_s
    assert said() == (None, "")
    now += 1
    since, fault = said()
    assert since == 1200.0
    assert "doesn't answer" in fault


def test_a_ledger_that_is_restored_from_a_backup_is_followed() -> None:
    ledger, seen = Changeable(), list[State]()
    ledger.append([made(name) for name in "abcde"], now=1.0)
    followed = watch(ledger, seen)
    followed.poll()
    assert seen == []
    ledger.ledger = MemoryLedger()
    ledger.append([made("w")], now=1.0)
    followed.poll()
    followed.poll()
    ledger.append([made("x")], now=1.0)
    followed.poll()
    assert [state.seq for state in seen] == [1, 2]


def test_a_state_is_read_again_when_it_is_asked_for() -> None:
    ledger, seen = Changeable(), list[State]()
    ledger.append([made("v")], now=1.0)
    followed = watch(ledger, seen)
    followed.look_again()
    followed.poll()
    followed.poll()
    assert [state.seq for state in seen] == [1]
