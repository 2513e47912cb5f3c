"""A followed ledger is the ledger, and tells what it appended as it can be read."""

from __future__ import annotations

import pytest

from tidemill.core.errors import ConflictError
from tidemill.core.redaction import Redactor
from tidemill.ledger.event import RecordedEvent
from tidemill.lineage.io.followed_ledger import FollowedLedger
from tidemill.ports.ledger import Ledger
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import events_of_every_kind, run_started_event
from tidemill.testing.suites.ledger import LedgerSuite


class TestFollowedLedger(LedgerSuite):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return FollowedLedger(MemoryLedger(), lambda fact: None, str)


def test_every_event_is_told_once_it_is_recorded() -> None:
    ledger, told = MemoryLedger(), list[RecordedEvent]()
    followed = FollowedLedger(ledger, told.append, str)
    events = events_of_every_kind()
    followed.append(events[:1], now=1.0)
    followed.append(events[1:], now=2.0)
    assert told == [*ledger.events()]


def test_an_event_that_is_refused_isnt_told() -> None:
    told: list[RecordedEvent] = []
    followed = FollowedLedger(MemoryLedger(), told.append, str)
    followed.append([run_started_event()], now=1.0)
    with pytest.raises(ConflictError):
        followed.append([run_started_event()], now=2.0)
    assert len(told) == 1


def test_secrets_are_masked_as_in_the_ledger() -> None:
    told: list[RecordedEvent] = []
    followed = FollowedLedger(MemoryLedger(), told.append, Redactor(["run"]).redact)
    followed.append([run_started_event()], now=1.0)
    assert "***" in str(told[0].event)
