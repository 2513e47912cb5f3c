"""Incidents and silences of their alerts, as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass


class IncidentChange(StrEnum):
    """How an incident changed.

    WORSENED has a higher severity, GREW more consequences. MOVED has another cause, because the first one is
    gone and a consequence stayed, or because it turned out to follow from one that is back. RECOVERING has
    none of its problems any more, also after a person closed it; RELAPSED has one again before it was closed,
    REOPENED after that.
    """

    WORSENED = "worsened"
    GREW = "grew"
    MOVED = "moved"
    RECOVERING = "recovering"
    RELAPSED = "relapsed"
    REOPENED = "reopened"


class ClosingReason(StrEnum):
    """How an incident ended.

    RETRIED means that another run succeeded, FIXED that code changed before it did, ROLLED_BACK that an
    earlier version went live, BY_PERSON that a person closed it, RECOVERED anything else.
    """

    RECOVERED = "recovered"
    RETRIED = "retried"
    FIXED = "fixed"
    ROLLED_BACK = "rolled back"
    BY_PERSON = "by a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentCause:
    """The problem that an incident is about; `key` is the same whenever the problem is found."""

    key: str
    kind: str
    title: str
    stage: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingProblem:
    """Another problem that follows from the cause of an incident."""

    key: str
    kind: str
    title: str
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it was opened: its cause began at `since`, and was `detected` later (Unix seconds).

    `actor` opened it; "" if a check did.
    """

    id: str
    cause: IncidentCause
    severity: str
    since: float
    detected: float
    consequences: tuple[FollowingProblem, ...] = ()
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A person holds the alerts of incidents that match all patterns, from `at` until `expires`."""

    id: str
    reason: str
    actor: str
    at: float
    expires: float
    stage: str = "*"
    kind: str = "*"
    severity: str = "*"
