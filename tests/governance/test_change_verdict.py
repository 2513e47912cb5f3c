"""A verdict says what goes on, and all that people are to read about it."""

from __future__ import annotations

import pytest

from tests.governance.test_waivers import ended, waived
from tidemill.governance.change_verdict import ALLOWED, Verdict, overruling
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed
from tidemill.ledger.policy import PolicyOutcome
from tidemill.ledger.review import ReviewOutcome


def closed(outcome: ReviewOutcome, review: str = "r1") -> ReviewClosed:
    return ReviewClosed(environment="prod", review=review, outcome=outcome)


def test_only_what_is_allowed_goes_on() -> None:
    assert (ALLOWED.allowed, ALLOWED.notes, ALLOWED.events) == (True, (), ())
    held = Verdict(outcome=PolicyOutcome.REVIEW, message="waits", warnings=("rule a: look",))
    assert (held.allowed, held.notes) == (False, ("waits", "rule a: look"))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (closed(ReviewOutcome.REJECTED), "review r1 ended meanwhile: rejected"),
        (closed(ReviewOutcome.CHANGES_ASKED), "review r1 ended meanwhile: changes asked"),
        (closed(ReviewOutcome.WITHDRAWN), "review r1 ended meanwhile: withdrawn"),
        # Nobody said anything against it.
        (closed(ReviewOutcome.APPROVED), ""),
        (closed(ReviewOutcome.EXPIRED), ""),
        (closed(ReviewOutcome.REJECTED, "r2"), ""),
        (ended("w1"), "waiver w1 was ended meanwhile, and its rule counts again"),
        (ended("w2"), ""),
        (waived("w1"), ""),
    ],
)
def test_who_decides_against_what_a_change_rests_on_stops_it(event: Event, said: str) -> None:
    assert overruling({"r1", "w1"}, [waived("w1"), event]) == said
