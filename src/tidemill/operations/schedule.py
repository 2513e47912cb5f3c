"""Schedules: which ticks are due now, which are missed, and what is due next, each with the reason.

A tick is a time at which a schedule asks for a run. Every tick after the last consumed one is either due or,
as the schedule's policy for catching up says, missed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from math import ceil, floor

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.cron import Cron
from tidemill.workflow.environment import PRODUCTION

# Ticks that are counted after a long time without a run.
MOST_COUNTED = 1_000
# Consumed ticks that a record keeps.
MOST_KEPT = 100


class CatchUp(StrEnum):
    """What happens to ticks that were missed: the latest runs, all of them up to a limit, or none."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TickInterval:
    """A tick every so many `seconds` of elapsed time, counted from an `anchor` (Unix seconds)."""

    text: str
    seconds: int
    anchor: int = 0

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.anchor, UTC)
        return f"every {self.text} from {since:%Y-%m-%d %H:%M} UTC"

    def after(self, moment: float, zone: tzinfo) -> Iterator[int]:
        """Yield the ticks after a moment, in order."""
        number = floor((moment - self.anchor) / self.seconds) + 1
        while True:
            yield self.anchor + number * self.seconds
            number += 1

    def before(self, moment: float, zone: tzinfo) -> Iterator[int]:
        """Yield the ticks up to a moment, the latest first."""
        number = floor((moment - self.anchor) / self.seconds)
        while True:
            yield self.anchor + number * self.seconds
            number -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When which `stages` (none: all) run in an environment.

    Ticks follow `rule` in a time zone, between `start` and `end` (Unix seconds). A run waits up to `jitter`
    seconds after its tick, always as long for the same tick. What happens to several ticks that came since
    the last run is up to `catch_up`: with ALL at most the newest `limit` of them run, with NONE the newest
    only if it is at most `grace` seconds late. With `again` current partitions rerun, and the models in
    `train` are trained.
    """

    name: str
    rule: Cron | TickInterval
    zone: tzinfo
    timezone: str = "UTC"
    stages: tuple[str, ...] = ()
    environment: str = PRODUCTION
    catch_up: CatchUp = CatchUp.LATEST
    limit: int = 10
    grace: float = 300.0
    jitter: float = 0.0
    start: float | None = None
    end: float | None = None
    again: bool = False
    train: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What names the schedule in the ledger: each environment has schedules of its own."""
        return schedule_key(self.name, self.environment)

    @property
    def timing(self) -> str:
        """When the schedule is due, in words."""
        if isinstance(self.rule, TickInterval):
            return str(self.rule)
        return f"{self.rule} in {self.timezone}"

    @property
    def declared(self) -> str:
        """What decides which ticks there are, as text: a change of it starts the schedule anew."""
        bounds = (self.start, self.end)
        return " ".join((self.timing, *(f"{at:.0f}" for at in bounds if at is not None)))


def schedule_key(name: str, environment: str) -> str:
    """What names a schedule of an environment in the ledger."""
    return name if environment == PRODUCTION else f"{name}@{environment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDeclaration:
    """How a schedule is declared in a copy of the project, and since when (Unix seconds) it counts."""

    declared: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePause:
    """A pause of a schedule since `at`, until somebody ends it or `until` (Unix seconds)."""

    at: float
    actor: str
    until: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTick:
    """The newest tick that was consumed, by which run, and when that was recorded."""

    tick: str
    run: str
    at: float
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """What the ledger knows of a schedule: how each copy of the project declares it, and what was consumed.

    `declarations` are by the folder of the copy. `ticks` are the newest consumed ones in order, at most
    `MOST_KEPT`. The schedule was resumed at `resumed`, or is paused.
    """

    declarations: Mapping[str, ScheduleDeclaration] = field(default_factory=dict)
    ticks: tuple[float, ...] = ()
    last: LastTick | None = None
    pause: SchedulePause | None = None
    resumed: float | None = None

    def since(self, declared: str) -> float | None:
        """Since when a schedule counts that is declared so; None if the ledger doesn't know it."""
        found = (one.since for one in self.declarations.values() if one.declared == declared)
        return min(found, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTick:
    """A tick that is due: a run of the `stages` of its schedule; `missed` earlier ones never run."""

    schedule: str
    tick: str
    at: float
    due: float
    environment: str = PRODUCTION
    stages: tuple[str, ...] = ()
    again: bool = False
    train: tuple[str, ...] = ()
    missed: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """When a schedule is due next (None: never), and why then; `missed` ticks wait for nothing."""

    schedule: str
    due: float | None
    because: str
    tick: str = ""
    missed: int = 0


def due_ticks(
    schedules: Iterable[Schedule], records: Mapping[str, ScheduleRecord], now: float
) -> tuple[DueTick, ...]:
    """The ticks that are to run now, by the time at which they were due.

    A schedule without a record, or one that is recorded as it was before, has none: it counts from when the
    ledger knows it.
    """
    found = [
        tick
        for schedule in schedules
        if (record := records.get(schedule.key)) is not None
        for tick in _due(schedule, record, now)
    ]
    return tuple(sorted(found, key=lambda tick: (tick.due, tick.schedule)))


def next_due(schedule: Schedule, record: ScheduleRecord | None, now: float) -> Upcoming:
    """When a schedule is due next, from now on, and why then."""
    known = record or ScheduleRecord()
    pause = active_pause(known, now)
    if pause is not None and pause.until is None:
        return Upcoming(schedule=schedule.name, due=None, because=describe_pause(pause))
    opened = now if pause is None or pause.until is None else max(now, pause.until)
    first = _first_after(schedule, known, opened, now)
    if first is None:
        ended = schedule.end is not None and schedule.end <= now
        words = f"it ended {_utc(schedule.end or 0)}" if ended else "it has no tick left"
        return Upcoming(schedule=schedule.name, due=None, because=f"{schedule.timing}: {words}")
    because = [schedule.timing, *([] if pause is None else [describe_pause(pause)])]
    if not known.declarations:
        because.append(
            "it counts from when `tidemill up` or `tidemill schedules run` first sees it"
        )
    elif known.since(schedule.declared) is None:
        because.append("its declaration changed")
    missed = _missed_words(schedule, known, now)
    return Upcoming(
        schedule=schedule.name,
        due=first + jitter_of(schedule, first),
        tick=tick_name(first),
        because="; ".join((*because, *missed)),
    )


def upcoming_ticks(schedule: Schedule, now: float, count: int) -> tuple[int, ...]:
    """The next ticks of a schedule after now, whether it is paused or not; fewer if it ends."""
    return tuple(islice(_ticks_after(schedule, now), count))


def active_pause(record: ScheduleRecord, now: float) -> SchedulePause | None:
    """The pause of a schedule that is in force now."""
    pause = record.pause
    if pause is None or (pause.until is not None and pause.until <= now):
        return None
    return pause


def describe_pause(pause: SchedulePause) -> str:
    """A pause in words: until when, by whom, why."""
    until = "" if pause.until is None else f" until {_utc(pause.until)}"
    return f"paused{until} by {pause.actor}" + (f": {pause.reason}" if pause.reason else "")


def tick_name(tick: float) -> str:
    """The name of a tick in the ledger: its time in UTC."""
    at = datetime.fromtimestamp(tick, UTC)
    return f"{at:%Y-%m-%dT%H:%MZ}" if at.second == 0 else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def parse_tick(name: str) -> float | None:
    """The time of a tick, in Unix seconds; None for what is no name of a tick."""
    try:
        at = datetime.fromisoformat(name)
    except ValueError:
        return None
    return None if at.tzinfo is None else at.timestamp()


def jitter_of(schedule: Schedule, tick: float) -> int:
    """Seconds that the run of a tick waits, below the schedule's jitter: always the same for a tick."""
    if schedule.jitter < 1:
        return 0
    digest = sha256(f"{schedule.name}\0{tick_name(tick)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ceil(schedule.jitter)


def _due(schedule: Schedule, record: ScheduleRecord, now: float) -> Sequence[DueTick]:
    if record.since(schedule.declared) is None or active_pause(record, now) is not None:
        return ()
    waiting = _waiting(schedule, record, now)
    running = _running(schedule, waiting, now)
    if not running:
        return ()
    missed = len(waiting) - len(running)
    why = _because(schedule, len(waiting), len(running))
    return [
        DueTick(
            schedule=schedule.name,
            tick=tick_name(tick),
            at=tick,
            due=tick + jitter_of(schedule, tick),
            environment=schedule.environment,
            stages=schedule.stages,
            again=schedule.again,
            train=schedule.train,
            # The first of them stands for those that never run.
            missed=0 if number else missed,
            because=why,
        )
        for number, tick in enumerate(running)
    ]


def _waiting(schedule: Schedule, record: ScheduleRecord, now: float) -> list[int]:
    """The ticks since the last consumed one whose time has come, in order; the newest of very many."""
    after = _counted_from(schedule, record, now)
    found: list[int] = []
    for tick in _ticks_before(schedule, now):
        if tick <= after or len(found) == MOST_COUNTED:
            break
        if tick + jitter_of(schedule, tick) <= now:
            found.append(tick)
    return found[::-1]


def _running(schedule: Schedule, waiting: Sequence[int], now: float) -> Sequence[int]:
    if schedule.catch_up is CatchUp.ALL:
        return waiting[-schedule.limit :]
    newest = waiting[-1:]
    if schedule.catch_up is CatchUp.NONE:
        return [t for t in newest if now - t - jitter_of(schedule, t) <= schedule.grace]
    return newest


def _counted_from(schedule: Schedule, record: ScheduleRecord, now: float) -> float:
    """The moment after which ticks count. What is recorded for later than now doesn't, but for its begin."""
    since = record.since(schedule.declared)
    if since is None:
        return now
    bounds = [since, record.resumed, record.pause.until if record.pause else None]
    place = bisect_right(record.ticks, now)
    if place:
        bounds.append(record.ticks[place - 1])
    elif len(record.ticks) >= MOST_KEPT:
        # The clock was put back to before all that is kept.
        bounds.append(now)
    return max(bound for bound in bounds if bound is not None)


def _first_after(
    schedule: Schedule, record: ScheduleRecord, opened: float, now: float
) -> int | None:
    """The first tick that is due after now: one that no run consumed, and that comes after `opened`."""
    consumed = frozenset(record.ticks)
    # A tick that has come isn't due yet while its jitter lasts.
    begin = max(
        opened if opened > now else now - schedule.jitter, _counted_from(schedule, record, now)
    )
    if record.since(schedule.declared) is None:
        begin = opened
    for tick in _ticks_after(schedule, begin):
        if tick not in consumed and tick + jitter_of(schedule, tick) > now:
            return tick
    return None


def _missed_words(schedule: Schedule, record: ScheduleRecord, now: float) -> list[str]:
    """That ticks were missed of which none runs."""
    if record.since(schedule.declared) is None or active_pause(record, now) is not None:
        return []
    waiting = _waiting(schedule, record, now)
    if not waiting or _running(schedule, waiting, now):
        return []
    return [_catch_up_words(schedule, len(waiting), 0)]


def _because(schedule: Schedule, came: int, running: int) -> str:
    if came <= 1:
        return schedule.timing
    return f"{schedule.timing}; {_catch_up_words(schedule, came, running)}"


def _catch_up_words(schedule: Schedule, came: int, running: int) -> str:
    missed = came - running
    least = "at least " if came == MOST_COUNTED else ""
    bound = f" (of at most {schedule.limit})" if schedule.catch_up is CatchUp.ALL else ""
    return (
        f"missed {least}{missed:,}, runs {running}{bound}, because catch_up = {schedule.catch_up}"
    )


def _ticks_after(schedule: Schedule, moment: float) -> Iterator[int]:
    begin = moment if schedule.start is None else max(moment, schedule.start - 1)
    for tick in schedule.rule.after(begin, schedule.zone):
        if schedule.end is not None and tick > schedule.end:
            return
        yield tick


def _ticks_before(schedule: Schedule, moment: float) -> Iterator[int]:
    begin = moment if schedule.end is None else min(moment, schedule.end)
    for tick in schedule.rule.before(begin, schedule.zone):
        if schedule.start is not None and tick < schedule.start:
            return
        yield tick


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
