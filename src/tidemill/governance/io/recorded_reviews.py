"""Read reviews from the ledger: the open ones, those of one change, or those of an id, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

from tidemill.governance.review_state import REVIEW_EVENTS, ReviewState, fold_reviews
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter, about
from tidemill.ledger.event_subjects import (
    asked_subject,
    changed_subject,
    review_subject,
)
from tidemill.ledger.governance_events import PolicyDecided, ReviewClosed, ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.recent_events import events_since
from tidemill.ports.ledger import Ledger

_ALL_OPEN = EventFilter(about_prefix=review_subject(""), open_only=True)


def open_reviews(ledger: Ledger, environment: str) -> dict[str, ReviewState]:
    """The open reviews of an environment by id, in the order in which they were opened."""
    found = _folded(ledger, environment, (_ALL_OPEN,))
    return {id: state for id, state in found.items() if state.is_open}


def unsettled_reviews(ledger: Ledger, environment: str, since: float) -> dict[str, ReviewState]:
    """The open reviews by id, and those that ended since a time (Unix seconds)."""
    closed = ledger.events(kinds=(ReviewClosed.__name__,), newest=True)
    ids = {
        fact.event.review
        for fact in events_since(closed, since)
        if isinstance(fact.event, ReviewClosed)
    }
    return _folded(ledger, environment, (_ALL_OPEN, *_about_all(ids)))


def newest_reviews(
    ledger: Ledger, environment: str, most: int | None = None
) -> dict[str, ReviewState]:
    """All reviews by id, in the order in which they were opened, or the open ones and the `most` last."""
    if most is None:
        return _folded(ledger, environment, (EVERYTHING,))
    opened = ledger.events(kinds=(ReviewOpened.__name__,), newest=True)
    own = (
        fact.event.review.id
        for fact in opened
        if isinstance(fact.event, ReviewOpened) and fact.event.environment == environment
    )
    return _folded(ledger, environment, (_ALL_OPEN, *_about_all(islice(own, most))))


def earlier_reviews(
    ledger: Ledger, environment: str, before: int, most: int
) -> tuple[dict[str, ReviewState], int]:
    """The reviews that were opened last before an event (0: before now), newest first, and the next `before`.

    That is 0 if there are no earlier ones.
    """
    where = EventFilter(before=before or None)
    opened = ledger.events(kinds=(ReviewOpened.__name__,), where=where, newest=True)
    own = (
        fact
        for fact in opened
        if isinstance(fact.event, ReviewOpened) and fact.event.environment == environment
    )
    found = [*islice(own, most + 1)]
    ids = [fact.event.review.id for fact in found[:most] if isinstance(fact.event, ReviewOpened)]
    states = _folded(ledger, environment, _about_all(ids))
    # Those of an environment of the same name that was dropped aren't its own.
    shown = {id: states[id] for id in ids if id in states}
    has_more = len(found) > most and len(shown) == most
    return shown, found[most - 1].seq if has_more else 0


def reviews_of(
    ledger: Ledger, environment: str, kind: SubjectKind, name: str
) -> dict[str, ReviewState]:
    """All reviews of changes of a kind to a stage or environment, by id, in the order of their opening."""
    where = about(changed_subject(kind, name))
    opened = ledger.events(kinds=(ReviewOpened.__name__,), where=where)
    ids = dict.fromkeys(
        fact.event.review.id for fact in opened if isinstance(fact.event, ReviewOpened)
    )
    return _folded(ledger, environment, _about_all(ids))


def reviews_named(ledger: Ledger, environment: str, id: str) -> dict[str, ReviewState]:
    """The reviews whose ids begin with a text, by id, in the order in which they were opened."""
    return _folded(ledger, environment, (EventFilter(about_prefix=review_subject(id)),))


def used_reviews(
    ledger: Ledger, environment: str, reviews: Mapping[str, ReviewState], before: int | None = None
) -> frozenset[str]:
    """Those of some reviews by whose approval a change went on, before an event."""
    return frozenset(
        fact.event.review
        for where in _about_all(reviews)
        for fact in ledger.events(
            kinds=(PolicyDecided.__name__,), where=replace(where, before=before)
        )
        if isinstance(fact.event, PolicyDecided) and fact.event.environment == environment
    )


def asks_about(ledger: Ledger, environment: str, kind: SubjectKind) -> bool:
    """Whether people were ever asked about a change of a kind, since the environment exists."""
    since = _since(ledger, environment)
    found = ledger.events(
        kinds=(ReviewOpened.__name__,), where=about(asked_subject(kind)), after=since - 1
    )
    return any(
        isinstance(fact.event, ReviewOpened) and fact.event.environment == environment
        for fact in found
    )


def _about_all(ids: Iterable[str]) -> tuple[EventFilter, ...]:
    """What selects the events about some reviews; nothing without any."""
    subjects = tuple(map(review_subject, ids))
    return (EventFilter(among=subjects),) if subjects else ()


def _folded(
    ledger: Ledger, environment: str, filters: Iterable[EventFilter]
) -> dict[str, ReviewState]:
    # What people decided before an environment was dropped says nothing about a new one of its name.
    since = _since(ledger, environment)
    facts: dict[int, RecordedEvent] = {}
    for where in filters:
        found = ledger.events(kinds=REVIEW_EVENTS, where=where, after=since - 1)
        facts |= {fact.seq: fact for fact in found}
    return fold_reviews([facts[seq] for seq in sorted(facts)], environment)


def _since(ledger: Ledger, environment: str) -> int:
    """The event that created an environment; without one nothing of it counts that is recorded."""
    state = ledger.state(environment)
    known = state.environments.get(environment)
    return state.seq + 1 if known is None else known.since
