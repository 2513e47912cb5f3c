"""Find the events before a window that figures in it still depend on.

What was published, delivered or trained long ago may be what is read and live now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from tidemill.ledger.event import (
    Attempted,
    Computed,
    Delivered,
    EnvironmentCreated,
    EnvironmentDropped,
    Published,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.event_filter import EventFilter
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.ports.ledger import Ledger


def _names(*kinds: type) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in kinds)


# Publications of a stage that are looked at: the newest of them are what is read. And runs, of which some may
# not have ended.
_PUBLICATIONS, _RUNS = 64, 8
_RARE = _names(
    *(EnvironmentCreated, EnvironmentDropped, Delivered),
    *(IncidentOpened, IncidentChanged, IncidentClosed),
)
_MADE, _MOVED = _names(Published, Computed), _names(Published, Removed)
_RUN, _STARTS, _STEPS = (
    _names(RunStarted, Attempted, RunEnded),
    _names(RunStarted),
    _names(Attempted),
)


def earlier_facts(ledger: Ledger, environment: str, until: int) -> list[RecordedEvent]:
    """The events up to number `until` that matter for what an environment does later, in their order.

    These are its deliveries and incidents, the last publications of its stages with the steps that
    computed the newest, the trainings of the versions that were live, and runs that had not ended.
    """
    if not until:
        return []
    where = EventFilter(before=until + 1)
    rare = [
        fact
        for fact in ledger.events(kinds=_RARE, where=where)
        if _environment_of(fact) == environment
    ]
    stages = sorted(ledger.state(environment).heads)
    facts = [
        *rare,
        *(fact for stage in stages for fact in _published(ledger, environment, stage, where)),
        *(fact for version in _live(rare) for fact in _trained(ledger, *version, where)),
        *_begun(ledger, where),
    ]
    by_number = {fact.seq: fact for fact in facts}
    return [by_number[seq] for seq in sorted(by_number)]


def _published(
    ledger: Ledger, environment: str, stage: str, where: EventFilter
) -> Iterator[RecordedEvent]:
    moved = ledger.events(kinds=_MOVED, stage=stage, where=where, newest=True)
    own = (fact for fact in moved if _environment_of(fact) == environment)
    last = None
    for fact in islice(own, _PUBLICATIONS):
        yield fact
        if last is None and isinstance(fact.event, Published):
            last = fact.event.binding.run
    if last is not None:
        # The kind of the step tells who shares its cost.
        yield from ledger.events(kinds=_STEPS, run=last, stage=stage, where=where)


def _live(facts: Iterable[RecordedEvent]) -> Iterable[tuple[str, str]]:
    """The stage and the id of each version that was live in the end."""
    live: dict[str, tuple[str, str]] = {}
    for fact in facts:
        if isinstance(fact.event, Delivered):
            artifact = fact.event.delivery.artifact
            live[fact.event.delivery.name] = artifact.stage, artifact.id
    return live.values()


def _trained(
    ledger: Ledger, stage: str, version: str, where: EventFilter
) -> Iterator[RecordedEvent]:
    """The first event of a version, and those of its run."""
    for fact in ledger.events(kinds=_MADE, stage=stage, where=where):
        event = fact.event
        if isinstance(event, Published | Computed):
            artifact = event.binding.product.artifact
            if artifact is not None and artifact.id == version:
                yield fact
                yield from ledger.events(kinds=_RUN, run=event.binding.run, where=where)
                return


def _begun(ledger: Ledger, where: EventFilter) -> Iterator[RecordedEvent]:
    for start in ledger.events(kinds=_STARTS, where=where, newest=True, limit=_RUNS):
        if isinstance(start.event, RunStarted):
            facts = [*ledger.events(kinds=_RUN, run=start.event.run, where=where)]
            if not any(isinstance(fact.event, RunEnded) for fact in facts):
                yield from facts


def _environment_of(fact: RecordedEvent) -> str:
    return getattr(fact.event, "environment", "")
