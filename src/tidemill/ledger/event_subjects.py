"""Subjects of events: what an event is about beside its stage and run, such as one review or one token.

Ledgers find the events about a subject without reading the others, and know which subjects have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tidemill.ledger.event import (
    Attempted,
    Decided,
    Delivered,
    Event,
    RolloutStepped,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.governance_events import (
    NoticeSent,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    RulesLoaded,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.incident_events import (
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.ledger.run import Action
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)

_SubjectsOf: TypeAlias = Callable[[Any], tuple[str, ...]]

_SUBJECTS: Mapping[type[Event], _SubjectsOf] = {
    RunStarted: lambda event: (run_subject(event.run),),
    RunEnded: lambda event: (run_subject(event.run),),
    ReviewOpened: lambda event: (
        review_subject(event.review.id),
        changed_subject(event.review.kind, event.review.name),
        asked_subject(event.review.kind),
    ),
    ReviewPageStored: lambda event: (review_subject(event.review),),
    Voted: lambda event: (review_subject(event.review),),
    ReviewExtended: lambda event: (review_subject(event.review),),
    ReviewClosed: lambda event: (review_subject(event.review),),
    NoticeSent: lambda event: (review_subject(event.review),),
    TokenCreated: lambda event: (token_subject(event.token.id),),
    TokenRevoked: lambda event: (token_subject(event.token),),
    Waived: lambda event: (waiver_subject(event.waiver.id),),
    WaiverEnded: lambda event: (waiver_subject(event.waiver),),
    RulesLoaded: lambda event: (rules_subject(event.rules),),
    PolicyDecided: lambda event: (
        decision_subject(event.decision.id),
        changed_subject(event.decision.kind, event.decision.name),
        # The review by whose approval the change went on.
        *((review_subject(event.review),) if event.review else ()),
    ),
    Attempted: lambda event: (
        (training_subject(event.attempt.stage),) if event.attempt.action == Action.TRAIN else ()
    ),
    Decided: lambda event: (model_subject(event.stage),),
    Delivered: lambda event: (model_subject(event.delivery.name),),
    RolloutStepped: lambda event: (endpoint_subject(event.endpoint),),
    IncidentOpened: lambda event: (incident_subject(event.incident.id),),
    IncidentChanged: lambda event: (incident_subject(event.incident),),
    IncidentClosed: lambda event: (incident_subject(event.incident),),
    AlertSent: lambda event: (incident_subject(event.incident),),
    Silenced: lambda event: (silence_subject(event.silence.id),),
    SilenceEnded: lambda event: (silence_subject(event.silence),),
    Ticked: lambda event: (
        schedule_subject(event.schedule),
        schedule_subject(event.schedule, event.tick),
    ),
    ScheduleChanged: lambda event: (schedule_subject(event.schedule),),
    SchedulePaused: lambda event: (schedule_subject(event.schedule),),
    ScheduleResumed: lambda event: (schedule_subject(event.schedule),),
}
# How the subjects of schedules begin.
SCHEDULE = "schedule "
# The events that begin what others end.
_BEGINNINGS = (RunStarted, ReviewOpened, TokenCreated, Waived, IncidentOpened, Silenced)
_ENDS = (RunEnded, ReviewClosed, TokenRevoked, WaiverEnded, IncidentClosed, SilenceEnded)
KINDS_WITH_SUBJECTS = tuple(kind.__name__ for kind in _SUBJECTS)


def subjects_of(event: Event) -> tuple[str, ...]:
    """The subjects of an event; none of most kinds."""
    find = _SUBJECTS.get(type(event))
    return find(event) if find is not None else ()


def begun_subject(event: Event) -> str:
    """The subject that an event begins, such as a review that is opened; "" if it begins none."""
    return subjects_of(event)[0] if isinstance(event, _BEGINNINGS) else ""


def ended_subject(event: Event) -> str:
    """The subject that an event ends; "" if it ends none."""
    return subjects_of(event)[0] if isinstance(event, _ENDS) else ""


def run_subject(id: str) -> str:
    """The subject of a run; that of the beginning of an id is the beginning of the subject."""
    return f"run {id}"


def review_subject(id: str) -> str:
    """The subject of a review."""
    return f"review {id}"


def token_subject(id: str) -> str:
    """The subject of a token."""
    return f"token {id}"


def waiver_subject(id: str) -> str:
    """The subject of a waiver."""
    return f"waiver {id}"


def rules_subject(digest: str) -> str:
    """The subject of a set of rules."""
    return f"rules {digest}"


def schedule_subject(name: str, tick: str = "") -> str:
    """The subject of a schedule, or of one of its ticks."""
    return f"{SCHEDULE}{name}" + (f" {tick}" if tick else "")


def decision_subject(id: str) -> str:
    """The subject of a decision of the rules."""
    return f"decision {id}"


def changed_subject(kind: str, name: str) -> str:
    """The subject of decisions of rules on changes of a kind to a stage or environment, and of reviews."""
    return f"change {kind} {name}"


def asked_subject(kind: str) -> str:
    """The subject of the openings of all reviews of changes of a kind."""
    return f"asked {kind}"


def training_subject(model: str) -> str:
    """The subject of the attempts to train a model."""
    return f"training {model}"


def model_subject(name: str) -> str:
    """The subject of the decisions of gates on a model, and of its deliveries."""
    return f"model {name}"


def endpoint_subject(name: str) -> str:
    """The subject of the rollouts at an endpoint."""
    return f"endpoint {name}"


def incident_subject(id: str) -> str:
    """The subject of an incident."""
    return f"incident {id}"


def silence_subject(id: str) -> str:
    """The subject of a silence of alerts."""
    return f"silence {id}"
