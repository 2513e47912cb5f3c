"""A problem: something that is wrong with a stage or the installation now, as whoever is on call sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass


class ProblemKind(StrEnum):
    """What is wrong."""

    FAILED_STAGE = "failed stage"
    BROKEN_CONTRACT = "broken contract"
    STALE_STAGE = "stale stage"
    OBJECTIVE_BREACH = "objective breach"
    ANOMALY = "anomaly"
    DRIFT = "drift"
    FAILED_DELIVERY = "failed delivery"
    OVERDUE_REVIEW = "overdue review"
    LOST_RUN = "lost run"
    FAILED_NOTIFIER = "failed notifier"
    DISK_SPACE = "disk space"
    BUDGET = "budget"
    LATE_WORK = "late work"
    SUPERVISOR_DOWN = "supervisor down"
    REPORTED = "reported"


class ProblemSeverity(StrEnum):
    """How soon a person should act: at once, in working hours, or when they next look."""

    PAGE = "page"
    TICKET = "ticket"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem that holds now, and began at `since` (Unix seconds).

    `key` identifies it among all problems of all environments: the same problem has the same key whenever
    it is found. `stage` is empty if it concerns no single stage. `title` is one line of plain text; the
    names and values in `evidence` show why. `command` is the one to look with.
    """

    kind: ProblemKind
    key: str
    since: float
    severity: ProblemSeverity
    title: str
    stage: str = ""
    environment: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    command: str = ""


def problem_key(kind: ProblemKind, environment: str, *parts: str) -> str:
    """The key of a problem: its kind, its environment, and what tells it apart from others of that kind."""
    return "/".join((kind.replace(" ", "-"), *(_escape(part) for part in (environment, *parts))))


def _escape(part: str) -> str:
    """Escape the separator, so that different parts never make the same key."""
    return part.replace("~", "~0").replace("/", "~1")
