"""The people of every kind of event are found; roles, and what acts by itself, are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.ledger.delivery import GATES
from tidemill.ledger.event import (
    Decided,
    Delivered,
    Event,
    PolicyDecided,
    ReviewOpened,
    RunStarted,
    TokenCreated,
    Voted,
)
from tidemill.ledger.people import change_people, names_people
from tidemill.testing import records as samples

EVERY = samples.events_of_every_kind()


def people_in(event: Event) -> set[str]:
    found: set[str] = set()

    def note(name: str) -> str:
        found.add(name)
        return name

    change_people(event, note)
    return found


def of_kind(kind: type[Any]) -> Any:
    return next(event for event in EVERY if isinstance(event, kind))


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_an_event_that_names_people_is_known_to(event: Event) -> None:
    """Nothing that names a person is of a kind that is stored with its names."""
    changed = change_people(event, str.upper)
    if not names_people(event):
        assert changed == event
    assert change_people(event, str) is event


def test_the_people_of_events() -> None:
    assert people_in(of_kind(TokenCreated)) == {
        of_kind(TokenCreated).token.actor,
        of_kind(TokenCreated).token.holder,
    }
    vote = replace(of_kind(Voted).vote, actor="ben", counts_as=("role:reviewer", "@leads"))
    assert people_in(replace(of_kind(Voted), vote=vote)) == {"ben", "@leads"}
    run = RunStarted(
        run="r", environment="prod", command="run", holder={"host": "h", "user": "ana"}, steps=1
    )
    assert people_in(run) == {"ana"}
    assert people_in(replace(run, holder={"host": "h"})) == set()


def test_the_parts_of_reviews_and_decisions() -> None:
    decision = of_kind(PolicyDecided).decision
    decision = replace(decision, actor="ana", facts={"author": "cleo", "stale": False})
    assert {"ana", "cleo"} <= people_in(PolicyDecided(environment="prod", decision=decision))
    changed = change_people(PolicyDecided(environment="prod", decision=decision), str.upper)
    assert changed.decision.facts == {"author": "CLEO", "stale": False}
    review = of_kind(ReviewOpened).review
    quorum = replace(review.quorums[0], asked=("dora", "role:reviewer"))
    review = replace(review, author="ana", quorums=(quorum,), verdict=None, escalate_to=("eve",))
    assert people_in(ReviewOpened(environment="prod", review=review)) == {"ana", "dora", "eve"}
    verdict = replace(of_kind(Decided).decision, actor="fred")
    review = replace(review, verdict=verdict)
    assert "fred" in people_in(ReviewOpened(environment="prod", review=review))


def test_what_acts_by_itself_is_no_person() -> None:
    delivery = replace(of_kind(Delivered).delivery, actor=GATES)
    assert people_in(Delivered(environment="prod", delivery=delivery)) == set()
