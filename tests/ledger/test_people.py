"""The people of every kind of event are found; roles, and what acts by itself, are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import pytest

from tidemill.ledger.delivery import GATES
from tidemill.ledger.event import EVENTS, Decided, Delivered, Event, RunStarted
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewOpened,
    RulesLoaded,
    TokenCreated,
    Voted,
)
from tidemill.ledger.people import change_people, change_texts, has_texts, is_person, names_people
from tidemill.testing import records as samples

# The fields with names, some of them of holders and facts by key.
_PEOPLE = """
actor approvers asked author author_vouched_by counts_as escalate_to escalated_to facts holder person
user vouched_by
"""
PEOPLE = frozenset(_PEOPLE.split())
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
    assert people_in(replace(of_kind(Voted), vote=vote)) == {"ben"}
    run = RunStarted(
        run="r", environment="prod", command="run", holder={"host": "h", "user": "ana"}, steps=1
    )
    assert people_in(run) == {"ana"}
    assert people_in(replace(run, holder={"host": "h"})) == set()


def test_the_parts_of_reviews_and_decisions() -> None:
    decision = of_kind(PolicyDecided).decision
    decision = replace(
        decision, actor="ana", facts={"author": "cleo", "owner": "dan", "stale": 1.0}
    )
    assert {"ana", "cleo", "dan"} <= people_in(PolicyDecided(environment="prod", decision=decision))
    changed = change_people(PolicyDecided(environment="prod", decision=decision), str.upper)
    assert changed.decision.facts == {"author": "CLEO", "owner": "DAN", "stale": 1.0}
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


# Fields of events with text, other than names of people: ids and digests, names of what isn't a person,
# and texts that people read. A new field belongs here, or among the names in `ledger/people.py`.
_NO_PEOPLE = """
action anchor artifact as_of baseline bounds candidate catalog categories channel check classes column
columns content contract contracts counts currency curves days decision declared delivers digest effect
endpoint endpoints entities entity environment errors evaluations events evidence fate figures fixed
format functions gate goals golden gone hardware head heads id importances incident incumbent inputs
investigate key kind label late left metric metrics missing missing_since model name newest object
objects origins output packages page params parent part partition partitions parts path period pin place
prices profile quarantine reading reads recipe recipes reference removed replaced replaces review roots rows
rowset rule rules run sample schedule scope seen severity sha256 signature silence snapshot source stage
stages state stopped subject sweep table tag target threshold thresholds through tick token touched
trained_on trigger unit units value version waiver waivers without worker workflow workflows
"""
NO_PEOPLE = frozenset(_NO_PEOPLE.split())
_TEXTS = (
    "advice because command detail error message messages note problem reason reasons text title "
    "trace why"
)
TEXTS = frozenset(_TEXTS.split())
# The column by which an evaluation divides rows.
OTHER = frozenset(("Scores.by",))


def text_fields(kind: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """The fields with text of a record and of all records in it: the record's kind, and the name."""
    if kind in seen:
        return
    seen.add(kind)
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        for inner in inner_types(hint):
            if is_dataclass(inner):
                yield from text_fields(inner, seen)
            elif inner is str:
                yield kind.__name__, item.name


def inner_types(hint: Any) -> Iterator[Any]:
    yield hint
    for inner in get_args(hint):
        yield from inner_types(inner)


def test_every_text_of_events_is_a_name_or_known_to_be_none() -> None:
    """A new field with a person's name that nobody declares would be recorded for good."""
    found = {each for kind in EVENTS for each in text_fields(kind, set())}
    unknown = {f"{kind}.{name}" for kind, name in found if name not in NO_PEOPLE | TEXTS | PEOPLE}
    assert unknown == OTHER
    for event in EVERY:
        named = {name for _, name in text_fields(type(event), set())}
        assert names_people(event) == bool(named & PEOPLE), type(event)


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_texts_that_mention_people_can_be_changed(event: Event) -> None:
    changed = change_texts(event, lambda text: f"{text}!")
    if not has_texts(event):
        assert changed is event
    assert change_people(changed, str) is changed


def test_people_are_mentioned_in_rules() -> None:
    loaded = replace(of_kind(RulesLoaded), text='approvers = ["ana"]')
    assert change_texts(loaded, str.upper).text == 'APPROVERS = ["ANA"]'  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    ["", " ana", "*", "expiry", "gates", "rollout", "@leads", "role:admin", "uid:5", "person:1",
     "rollout of endpoint demand"],
)  # fmt: skip
def test_what_stands_for_something_else_is_no_person(name: str) -> None:
    assert not is_person(name)
    assert is_person("ana")
