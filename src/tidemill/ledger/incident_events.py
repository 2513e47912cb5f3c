"""Events of incidents: what was wrong from when until when, and who was alerted of it."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.incident import (
    ClosingReason,
    FollowingProblem,
    Incident,
    IncidentCause,
    IncidentChange,
    Silence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """Something was found to be wrong, by a check or by a person."""

    environment: str
    incident: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChanged:
    """An incident changed; what was the case since `since` (Unix seconds) has its new value.

    `severity` is the new one where it worsened or moved, `cause` where it moved or is back; `consequences`
    are those that it grew by, or the cause so far if that is one now.
    """

    environment: str
    incident: str
    change: IncidentChange
    since: float
    severity: str = ""
    cause: IncidentCause | None = None
    consequences: tuple[FollowingProblem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentClosed:
    """An incident ended; `recovered` is the first time from which all was well (Unix seconds).

    `actor` closed it, for a `reason`; both are "" if a check did.
    """

    environment: str
    incident: str
    how: ClosingReason
    recovered: float
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSent:
    """A channel accepted an alert about the event number `about` of an incident, due because of `kind`."""

    environment: str
    incident: str
    channel: str
    about: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFailed:
    """A channel didn't accept `alerts` alerts; it was the failure number `failures` in a row."""

    environment: str
    channel: str
    reason: str
    failures: int
    alerts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """A person held the alerts of some incidents for a time."""

    environment: str
    silence: Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceEnded:
    """A person ended a silence before it expired."""

    environment: str
    silence: str
    actor: str
    reason: str = ""
