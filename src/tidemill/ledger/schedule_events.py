"""Events of schedules, which belong to a workflow; their keys name the environment unless it is prod."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """A tick of a schedule was consumed by a `run`; the ledger accepts each tick only once.

    `missed` earlier ticks were due too, and never run.
    """

    schedule: str
    tick: str
    run: str | None = None
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanged:
    """A schedule is declared in another way from now on; it is not declared any more if `declared` is "".

    `place` is the folder of the project that declares it, of which there may be several copies.
    """

    schedule: str
    declared: str
    actor: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePaused:
    """A person paused a schedule, until somebody resumes it or `until` (Unix seconds)."""

    schedule: str
    actor: str
    until: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleResumed:
    """A person resumed a paused schedule; what was due in between stays undone."""

    schedule: str
    actor: str
    reason: str = ""


# What names a schedule of a workflow.
SCHEDULE_EVENTS = (Ticked, ScheduleChanged, SchedulePaused, ScheduleResumed)
