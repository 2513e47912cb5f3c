"""Incidents as their events tell: what is wrong, since when, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import (
    ClosingReason,
    FollowingProblem,
    Incident,
    IncidentCause,
    IncidentChange,
)
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.problem import ProblemKind, ProblemSeverity

# What `fold_incidents` reads.
INCIDENT_EVENTS = tuple(kind.__name__ for kind in (IncidentOpened, IncidentChanged, IncidentClosed))

# The kinds of incidents that tell of a stage that it fails, or is too old.
_TELLING = frozenset(
    str(kind)
    for kind in (
        ProblemKind.FAILED_STAGE, ProblemKind.BROKEN_CONTRACT, ProblemKind.STALE_STAGE,
        ProblemKind.OBJECTIVE_BREACH,
    )
)  # fmt: skip


class IncidentStatus(StrEnum):
    """Whether an incident lasts. RECOVERING shows no problem, but hasn't for long enough to be closed."""

    OPEN = "open"
    RECOVERING = "recovering"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentState:
    """An incident after all its `events`.

    `severity` is the worst since it is about its cause. `members` are the keys of all problems that were part
    of it; of these, `former` are those that it was about before, which were gone when others were left. It
    was opened by the event number `opened`, or opened again, at `opened_at`; it is bad since `bad_since`, and
    well since `recovered` (None while it is bad). `closing` is how it was closed at `closed_at`, and
    `has_ended` says that its problems were gone then, or since. Times are Unix seconds.
    """

    incident: Incident
    environment: str
    opened: int
    opened_at: float
    severity: str
    cause: IncidentCause
    bad_since: float
    members: frozenset[str]
    consequences: tuple[FollowingProblem, ...] = ()
    former: tuple[FollowingProblem, ...] = ()
    recovered: float | None = None
    closing: IncidentClosed | None = None
    closed_at: float | None = None
    has_ended: bool = False
    events: tuple[RecordedEvent, ...] = ()

    @property
    def id(self) -> str:
        """The id of the incident."""
        return self.incident.id

    @property
    def status(self) -> IncidentStatus:
        """Whether it lasts."""
        if self.closing is not None:
            return IncidentStatus.CLOSED
        return IncidentStatus.OPEN if self.recovered is None else IncidentStatus.RECOVERING

    @property
    def is_open(self) -> bool:
        """Whether it isn't closed."""
        return self.closing is None

    @property
    def is_answered(self) -> bool:
        """Whether a person closed it, and its problems weren't gone since."""
        by_person = self.closing is not None and self.closing.how is ClosingReason.BY_PERSON
        return by_person and not self.has_ended

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it is or was about, that of the cause first, without repetition."""
        named = (self.cause.stage, *(each.stage for each in (*self.consequences, *self.former)))
        return tuple(dict.fromkeys(stage for stage in named if stage))


def told_stages(incidents: Iterable[IncidentState], environment: str) -> frozenset[str]:
    """The stages of which open incidents of an environment tell that they fail, or are too old."""
    return frozenset(
        stage
        for state in incidents
        if state.is_open and state.environment == environment and state.cause.kind in _TELLING
        for stage in state.stages
    )


def fold_incidents(
    facts: Iterable[RecordedEvent], known: Mapping[str, IncidentState] | None = None
) -> dict[str, IncidentState]:
    """The incidents by id after more events; an event about an unknown incident tells nothing."""
    found = dict(known or {})
    for fact in facts:
        event = fact.event
        if isinstance(event, IncidentOpened):
            found.setdefault(event.incident.id, _opened(fact, event))
        elif isinstance(event, IncidentChanged | IncidentClosed) and event.incident in found:
            found[event.incident] = _applied(found[event.incident], fact, event)
    return found


def open_incidents(states: Iterable[IncidentState]) -> tuple[IncidentState, ...]:
    """Those that aren't closed, the most severe and the oldest first."""
    order = [str(each) for each in ProblemSeverity]
    found = [state for state in states if state.is_open]
    return tuple(sorted(found, key=lambda state: (order.index(state.severity), state.opened)))


def _opened(fact: RecordedEvent, event: IncidentOpened) -> IncidentState:
    incident = event.incident
    keys = (incident.cause.key, *(each.key for each in incident.consequences))
    return IncidentState(
        incident=incident,
        environment=event.environment,
        opened=fact.seq,
        opened_at=fact.at,
        severity=incident.severity,
        cause=incident.cause,
        bad_since=incident.since,
        members=frozenset(keys),
        consequences=incident.consequences,
        events=(fact,),
    )


def _applied(
    state: IncidentState, fact: RecordedEvent, event: IncidentChanged | IncidentClosed
) -> IncidentState:
    state = replace(state, events=(*state.events, fact))
    if isinstance(event, IncidentClosed):
        return replace(
            state, closing=event, closed_at=fact.at, recovered=event.recovered,
            has_ended=state.recovered is not None,
        )  # fmt: skip
    if event.change is IncidentChange.RECOVERING and not state.is_open:
        return replace(state, has_ended=True)
    values: dict[str, Any] = {"severity": event.severity} if event.severity else {}
    if event.change is IncidentChange.GREW:
        keys = {each.key for each in event.consequences}
        values |= {
            "consequences": (*state.consequences, *event.consequences),
            "members": state.members | keys,
        }
    elif event.change is IncidentChange.RECOVERING:
        values |= {"recovered": event.since}
    elif event.change is IncidentChange.RELAPSED:
        values |= {"recovered": None, "bad_since": event.since}
    elif event.change is IncidentChange.REOPENED:
        values |= {
            "recovered": None, "bad_since": event.since, "closing": None, "closed_at": None,
            "opened": fact.seq, "opened_at": fact.at, "has_ended": False,
        }  # fmt: skip
    if event.cause is not None:
        values |= _with_cause(state, event.cause, event.consequences)
    return replace(state, **values)


def _with_cause(
    state: IncidentState, cause: IncidentCause, still: Sequence[FollowingProblem]
) -> dict[str, Any]:
    """What changes with another cause, which was a consequence or a cause before.

    The cause so far is a consequence if it is one of those that are there `still`, else it is over.
    """
    before = state.cause
    if before.key == cause.key:
        return {"cause": cause}
    following = FollowingProblem(
        key=before.key, kind=before.kind, title=before.title, stage=before.stage
    )
    consequences = [each for each in state.consequences if each.key != cause.key]
    former = [each for each in state.former if each.key != cause.key]
    lasts = before.key in {each.key for each in still}
    (consequences if lasts else former).append(following)
    return {"cause": cause, "consequences": tuple(consequences), "former": tuple(former)}
