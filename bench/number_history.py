"""A long history of a busy team with what the four numbers are about: commits, rollouts, failures, reads.

It adds to the history of `bench/ledger_history.py`, whose runs it follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.ledger_history import MODEL, PROD, STAGES, Batch, digest, history
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.ledger.event import Delivered, Event, Published, Served
from tidemill.ledger.incident import ClosingReason, Incident, IncidentCause
from tidemill.ledger.incident_events import IncidentClosed, IncidentOpened
from tidemill.ledger.rollout import RolloutAction
from tidemill.testing.records import rollout_event, rollout_step

# About so many batches of the history pass between two commits, and between two incidents.
_PER_COMMIT, _PER_INCIDENT = 1_900, 4_700
_HOUR_S = 3_600.0


def number_history(events: int) -> Iterator[Batch]:
    """Yield what is appended together, with its time (Unix seconds), until there are about `events`."""
    live = ""
    for number, (at, batch) in enumerate(history(events)):
        yield at, [_completed(event, live, at) for event in batch]
        if number % _PER_COMMIT == 7:
            yield at, [_commit(number, at)]
        for event in batch:
            if isinstance(event, Delivered):
                live = event.delivery.artifact.id
                yield at, [*_rollout(event, number, at)]
        if number % _PER_INCIDENT == 11:
            yield at, [*_incident(number, at)]


def _completed(event: Event, version: str, at: float) -> Event:
    """The same, where models have inputs, and the live version served in the minute before."""
    if isinstance(event, Published) and event.stage == MODEL:
        inputs = {"features": event.binding.key}
        return replace(event, binding=replace(event.binding, inputs=inputs))
    if not isinstance(event, Served):
        return event
    usages = tuple(replace(usage, version=version) for usage in event.usages)
    return replace(event, since=at - 60.0, until=at, usages=usages)


def _commit(number: int, at: float) -> ChangesSeen:
    """A commit of some hours before, which changes one stage."""
    stage = STAGES[number % len(STAGES)]
    id = digest(number, "commit")
    committed = at - (1 + number % 30) * _HOUR_S
    return ChangesSeen(
        environment=PROD,
        head=id,
        commits=(Commit(id=id, at=committed),),
        stages=(stage,),
        delivers=("forecast", MODEL) if number % 3 else (),
        recipes={name: digest(number, name)[:16] for name in STAGES},
    )


def _rollout(event: Delivered, number: int, at: float) -> Iterator[Event]:
    """The rollout of a version that went live; one in ten is rolled back."""
    ended = RolloutAction.COMPLETED if number % 10 else RolloutAction.ROLLED_BACK
    for action in (RolloutAction.STARTED, ended):
        step = rollout_step(action, candidate=event.delivery.artifact.id, at=at)
        yield rollout_event(replace(step, model=MODEL), environment=PROD)


def _incident(number: int, at: float) -> Iterator[Event]:
    """A stale stage that was noticed after an hour, and mended after some."""
    id, stage = f"i{number}", STAGES[number % len(STAGES)]
    cause = IncidentCause(
        key=f"stale-stage/{stage}", kind="stale stage", title="stale", stage=stage
    )
    since = at - (2 + number % 20) * _HOUR_S
    incident = Incident(
        id=id, cause=cause, severity="ticket", since=since, detected=since + _HOUR_S
    )
    yield IncidentOpened(environment=PROD, incident=incident)
    if number % 3:
        yield IncidentClosed(
            environment=PROD, incident=id, how=ClosingReason.RECOVERED, recovered=at
        )
