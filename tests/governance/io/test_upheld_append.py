"""What rests on reviews and waivers is recorded only while nobody decided against them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.governance.test_waivers import ended, waived
from tidemill.core.errors import ConflictError, GateError
from tidemill.governance.io.upheld_append import append_upheld
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed
from tidemill.ledger.review import ReviewOutcome
from tidemill.ports.ledger import Guard
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import PROD, published_event


class OvertakenLedger(MemoryLedger):
    """Another process records one list of events before each append."""

    def __init__(self, *others: Sequence[Event]) -> None:
        super().__init__()
        self._others = [*others]

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        if self._others:
            super().append(self._others.pop(0), now=now)
        return super().append(events, now=now, guard=guard)


def closed(outcome: ReviewOutcome, review: str = "r1") -> ReviewClosed:
    return ReviewClosed(environment=PROD, review=review, outcome=outcome)


def publish(ledger: MemoryLedger, *rests_on: str, guard: Guard | None = None) -> None:
    append_upheld(
        ledger, PROD, [published_event()], now=1.0, guard=guard or Guard(), rests_on=rests_on
    )


def kinds(ledger: MemoryLedger) -> list[str]:
    return [type(fact.event).__name__ for fact in ledger.events()]


def test_what_people_decide_against_at_the_last_moment_is_not_recorded() -> None:
    ledger = OvertakenLedger([closed(ReviewOutcome.REJECTED)])
    with pytest.raises(GateError, match="review r1 ended meanwhile: rejected; nothing that rests"):
        publish(ledger, "r1")
    assert kinds(ledger) == ["ReviewClosed"]
    ledger = OvertakenLedger([waived("w1"), ended("w2")], [ended("w1")])
    with pytest.raises(GateError, match="waiver w1 was ended meanwhile"):
        publish(ledger, "r1", "w1")
    assert kinds(ledger) == ["Waived", "WaiverEnded", "WaiverEnded"]


def test_what_happens_in_other_reviews_stops_nothing() -> None:
    others: list[Event] = [closed(ReviewOutcome.REJECTED, "r2"), ended("w2")]
    ledger = OvertakenLedger(others, [closed(ReviewOutcome.EXPIRED)], others)
    publish(ledger, "r1", "w1")
    assert kinds(ledger)[-1] == "Published"
    publish(ledger)
    assert kinds(ledger)[-1] == "Published"


def test_what_moved_otherwise_is_still_a_conflict() -> None:
    ledger = MemoryLedger()
    publish(ledger)
    with pytest.raises(ConflictError, match="'features' in 'prod' moved"):
        publish(ledger, "r1", guard=Guard(heads={"features": 0}))
