"""Schedules: what is due next and why, how the last runs ended, and pauses."""

from __future__ import annotations

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.run import Status
from tidemill.operations.schedule import CatchUp, LastTick, SchedulePause
from tidemill.project.project import Project
from tidemill.project.schedules import ScheduleStatus
from tidemill.project.started_runs import StartedRun, start_run

_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLine:
    """A schedule: `timing` says when, `because` why next then; `due_now` ticks wait for a run.

    It runs `stages` (none: all); `ticks` are its next ones, as if it weren't paused. Times are Unix seconds.
    """

    name: str
    timing: str
    timezone: str
    environment: str
    stages: tuple[str, ...]
    train: tuple[str, ...]
    again: bool
    catch_up: CatchUp
    limit: int
    jitter: float
    start: float | None
    end: float | None
    next_due: float | None
    because: str
    due_now: int
    ticks: tuple[int, ...]
    pause: SchedulePause | None
    last: LastTick | None
    last_status: Status | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesView:
    """All schedules in the settings, and what is wrong with others."""

    schedules: tuple[ScheduleLine, ...]
    faults: tuple[str, ...]
    right: ActionRight
    running: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedSchedule:
    """A schedule that was paused until a time (None: until somebody resumes it) or resumed."""

    schedule: str
    until: float | None
    told: str


def list_schedules(project: Project) -> SchedulesView:
    """List schedules: when each is due next and why, its next ticks, and how its last run ended."""
    service, now = project.schedules, project.tools.clock()
    return SchedulesView(
        schedules=tuple(_line(project, each, now) for each in service.statuses(now)),
        faults=tuple(map(str, service.faults)),
        right=action_right(project, Permission.PAUSE_SCHEDULE),
        running=action_right(project, Permission.RUN),
    )


def run_schedule(project: Project, schedule: str) -> StartedRun:
    """Start `tidemill schedules run` of a schedule that is due as a process of its own.

    It goes on without the console, and acts as whoever asks for it.
    """
    project.workspace.require(Permission.RUN)
    project.schedules.schedule(schedule)
    found = project.schedules.statuses(project.tools.clock())
    if not any(each.due for each in found if each.schedule.name == schedule):
        raise UsageError(f"{schedule} isn't due now; its stages can be run on the page Plan")
    return start_run(project.workspace, ["schedules", "run", schedule])


def pause_schedule(
    project: Project, schedule: str, reason: str = "", until: str = ""
) -> ChangedSchedule:
    """Pause a schedule until somebody resumes it, or until a time such as 2d or 2026-01-31T06:00.

    What is due meanwhile never runs. The time is in the zone of the schedule.
    """
    made = project.schedules.pause(schedule, until=until or None, reason=reason)
    return ChangedSchedule(schedule=schedule, until=made.until, told=f"{schedule} is paused.")


def resume_schedule(project: Project, schedule: str, reason: str = "") -> ChangedSchedule:
    """Resume a schedule, which counts from now on."""
    was_paused = project.schedules.resume(schedule, reason=reason)
    told = f"{schedule} goes on." if was_paused else f"{schedule} wasn't paused."
    return ChangedSchedule(schedule=schedule, until=None, told=told)


def _line(project: Project, status: ScheduleStatus, now: float) -> ScheduleLine:
    schedule = status.schedule
    return ScheduleLine(
        name=schedule.name,
        timing=schedule.timing,
        timezone=schedule.timezone,
        environment=schedule.environment,
        stages=schedule.stages,
        train=schedule.train,
        again=schedule.again,
        catch_up=schedule.catch_up,
        limit=schedule.limit,
        jitter=schedule.jitter,
        start=schedule.start,
        end=schedule.end,
        next_due=status.upcoming.due,
        because=status.due[0].because if status.due else status.upcoming.because,
        due_now=len(status.due),
        ticks=project.schedules.next_ticks(schedule.name, now, _TICKS),
        pause=status.pause,
        last=status.record.last,
        last_status=status.last_status,
    )
