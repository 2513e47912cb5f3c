"""Schedules of a project: what is due and why, what comes next, and people who pause and resume them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from math import isfinite

from tidemill.core.errors import DeclarationError, Fault, UnknownNameError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note
from tidemill.core.units import parse_seconds
from tidemill.governance.permissions import Actor, Permission
from tidemill.ledger.event import Event
from tidemill.ledger.run import Receipt, Status
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.operations.io.schedule_reader import ScheduleReader
from tidemill.operations.schedule import (
    DueTick,
    Schedule,
    ScheduleDeclaration,
    SchedulePause,
    ScheduleRecord,
    Upcoming,
    active_pause,
    due_ticks,
    next_due,
    schedule_key,
    upcoming_ticks,
)
from tidemill.operations.schedule_settings import (
    DeclaredSchedules,
    parse_schedules,
)
from tidemill.planning.request import Request
from tidemill.ports.ledger import Ledger
from tidemill.project.declared_schedules import declared_schedules
from tidemill.project.runs import Progress, Runs
from tidemill.project.workspace import Workspace
from tidemill.runs.io.job import ScheduledTick

_LONGEST_PAUSE_S = 10 * 366 * 86_400.0
# A clock that is put back by less than this is only adjusted.
_ADJUSTED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """A schedule now: what comes next and why, the last tick and how its run ended, and its pause."""

    schedule: Schedule
    upcoming: Upcoming
    record: ScheduleRecord
    due: tuple[DueTick, ...] = ()
    pause: SchedulePause | None = None
    last_status: Status | None = None


class Schedules:
    """The schedules of a project in a folder, with what the ledger of its workflow knows of them.

    Other copies of the project, which may declare others, are left alone. `require` returns who acts, or
    raises AccessError.
    """

    def __init__(
        self,
        place: str,
        declared: DeclaredSchedules,
        ledger: Ledger,
        clock: Callable[[], float],
        require: Callable[[Permission], Actor],
    ) -> None:
        self._place = place
        self.declared = declared
        self._ledger = ledger
        self._clock = clock
        self._require = require

    @cached_property
    def _reader(self) -> ScheduleReader:
        return ScheduleReader(self._ledger)

    def due(self, now: float) -> tuple[DueTick, ...]:
        """The ticks that are to run now, the first due one first.

        Records schedules that are new, changed or removed, which count from now on. AccessError if the actor
        may not run.
        """
        actor = self._require(Permission.RUN)
        self._record_changes(now, actor)
        return due_ticks(self.declared.schedules, self._records, now)

    def upcoming(self, now: float) -> tuple[Upcoming, ...]:
        """What each schedule does next, and why, in their order in the settings."""
        self._require(Permission.READ)
        records = self._records
        return tuple(next_due(each, records.get(each.key), now) for each in self.declared.schedules)

    def statuses(self, now: float) -> tuple[ScheduleStatus, ...]:
        """The state of each schedule, in their order in the settings."""
        self._require(Permission.READ)
        return tuple(self._status(schedule, now) for schedule in self.declared.schedules)

    def schedule(self, name: str) -> Schedule:
        """The schedule of that name; UsageError for an unknown one, DeclarationError for one with faults."""
        known = {each.name: each for each in self.declared.schedules}
        if name in known:
            return known[name]
        if name in self.declared.names:
            raise DeclarationError(f"schedule {name!r}", self.declared.faults)
        raise UnknownNameError(
            f"there is no schedule {name!r} ({did_you_mean(name, self.declared.names)})"
        )

    def next_ticks(self, name: str, now: float, count: int) -> tuple[int, ...]:
        """The next ticks of a schedule (Unix seconds), as if nobody had paused it."""
        self._require(Permission.READ)
        if not 1 <= count <= 1_000:
            raise UsageError(f"{count:,} is not a number of ticks from 1 to 1,000")
        return upcoming_ticks(self.schedule(name), now, count)

    def pause(
        self, name: str, *, until: str | date | float | None = None, reason: str = ""
    ) -> SchedulePause:
        """Pause a schedule until somebody resumes it, or until a time; ticks in between never run.

        `until` is a time such as "2026-01-31T06:00" in the schedule's time zone, a time from now such as
        "2d", or Unix seconds. UsageError for one that is over. AccessError without the role.
        """
        actor = self._require(Permission.PAUSE_SCHEDULE).name
        schedule, now = self.schedule(name), self._clock()
        end = None if until is None else _checked_end(until, schedule, now)
        event = SchedulePaused(
            schedule=schedule.key, actor=actor, until=end, reason=checked_note(reason, "reason")
        )
        self._ledger.append([event], now=now)
        return SchedulePause(at=now, actor=actor, until=end, reason=event.reason)

    def resume(self, name: str, *, reason: str = "") -> bool:
        """Resume a schedule, which counts from now on; return whether it was paused.

        AccessError without the role.
        """
        actor = self._require(Permission.PAUSE_SCHEDULE).name
        key, now = self.schedule(name).key, self._clock()
        record = self._records.get(key)
        if record is None or active_pause(record, now) is None:
            return False
        event = ScheduleResumed(schedule=key, actor=actor, reason=checked_note(reason, "reason"))
        self._ledger.append([event], now=now)
        return True

    @property
    def _records(self) -> Mapping[str, ScheduleRecord]:
        return self._reader.records()

    def _status(self, schedule: Schedule, now: float) -> ScheduleStatus:
        record = self._records.get(schedule.key, ScheduleRecord())
        last = record.last
        return ScheduleStatus(
            schedule=schedule,
            upcoming=next_due(schedule, self._records.get(schedule.key), now),
            record=record,
            due=due_ticks([schedule], self._records, now),
            pause=active_pause(record, now),
            last_status=self._reader.status_of(last.run) if last is not None and last.run else None,
        )

    def _record_changes(self, now: float, actor: Actor) -> None:
        known, place = self._records, self._place
        wanted = {each.key: each.declared for each in self.declared.schedules}
        # Those with faults stay as they are.
        kept = {*self.declared.names} - {each.name for each in self.declared.schedules}
        gone = {
            key: ""
            for key, record in known.items()
            if place in record.declarations and key not in wanted and key.split("@")[0] not in kept
        }
        events: list[Event] = [
            ScheduleChanged(schedule=key, declared=declared, actor=actor.name, place=place)
            for key, declared in {**wanted, **gone}.items()
            if _is_changed(known.get(key, ScheduleRecord()).declarations.get(place), declared, now)
        ]
        if events:
            self._ledger.append(events, now=now)


class ProjectSchedules(Schedules):
    """The schedules of the workspace of a project, which can also run what is due."""

    def __init__(self, workspace: Workspace, runs: Runs) -> None:
        super().__init__(
            str(workspace.settings.root),
            declared_schedules(workspace.settings, workspace.declared),
            workspace.tools.ledger,
            workspace.tools.clock,
            workspace.require,
        )
        self._runs = runs

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with schedules in the settings."""
        return [*self.declared.faults]

    def run(
        self,
        tick: DueTick,
        *,
        command: str = "tm.open().schedules.run()",
        wait_s: float | None = 0.0,
        progress: Progress | None = None,
        retried: bool = False,
    ) -> Receipt:
        """Run what a tick asks for, in the environment of this project, and record that it was consumed.

        That is recorded with the end of the run, so that a run that is killed is run again; forced work that
        was done since the tick was due isn't done again. With `retried` a run that failed leaves the tick,
        too. ConflictError if another run consumed the tick, or as `Project.run`.
        """
        key = schedule_key(tick.schedule, tick.environment)
        last = self._records.get(key, ScheduleRecord()).last
        request = Request(
            stages=tick.stages,
            again=tick.again,
            train=frozenset(tick.train),
            # Each of several ticks that are run late does its work.
            older_than=tick.due if last is None else max(tick.due, last.at),
        )
        event = Ticked(schedule=key, tick=tick.tick, missed=tick.missed)
        because = f"schedule {tick.schedule}, {tick.tick}: {tick.because}"
        return self._runs.run(
            request,
            command=command,
            wait_s=wait_s,
            progress=progress,
            tick=ScheduledTick(tick=event, because=because, retried=retried),
        )


def _is_changed(known: ScheduleDeclaration | None, declared: str, now: float) -> bool:
    """Whether a declaration has to be recorded: it is another one, or the clock was put back before it."""
    if known is None:
        return True
    return known.declared != declared or known.since > now + _ADJUSTED_S


def _checked_end(until: str | date | float, schedule: Schedule, now: float) -> float:
    end = _end_of(until, schedule, now)
    if not isfinite(end) or end <= now:
        raise UsageError(f"{until} is over: name a time to come, such as 2d or 2026-01-31T06:00")
    if end > now + _LONGEST_PAUSE_S:
        raise UsageError(f"{until} is more than ten years away: pause it without an end")
    return end


def _end_of(until: str | date | float, schedule: Schedule, now: float) -> float:
    if isinstance(until, int | float):
        return float(until)
    try:
        return now + parse_seconds(str(until))
    except ValueError:
        pass
    table = {"cron": "@daily", "timezone": schedule.timezone, "end": until}
    found = parse_schedules({schedule.name: table}, "")
    if found.faults:
        raise UsageError(f"until {until!r} is not a time: write 2d, 2026-01-31 or 2026-01-31T06:00")
    (read,) = found.schedules
    assert read.end is not None
    return read.end
