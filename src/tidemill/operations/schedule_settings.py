"""Read from the settings when stages run; all faults of all schedules are collected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from tidemill.core.errors import Fault, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.setting_name import name_fault, shown_name
from tidemill.core.units import parse_seconds
from tidemill.operations.cron import Cron, CronError, first_time, parse_cron
from tidemill.operations.schedule import CatchUp, Schedule, TickInterval
from tidemill.workflow.environment import PRODUCTION, check_environment_name

_KEYS = (
    "cron", "every", "timezone", "stages", "environment", "catch_up", "catch_up_limit", "grace", "jitter",
    "start", "end", "again", "train",
)  # fmt: skip
_YEARS = range(1970, 2200)
_LONGEST_S = 366 * 86_400
_MOST_RUNS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSchedules:
    """The schedules of a project; those with `faults` are left out, and only their names are known."""

    schedules: tuple[Schedule, ...] = ()
    faults: tuple[Fault, ...] = ()
    names: tuple[str, ...] = ()


def parse_schedules(table: Mapping[str, Any], place: str) -> DeclaredSchedules:
    """Read the tables of schedules by name; `place` names the file and the table in faults."""
    found, faults = [], list[Fault]()
    for name, entry in table.items():
        reader = _ScheduleReader(name, entry, f"{place}.{shown_name(name)}]")
        schedule = reader.schedule()
        faults += reader.faults
        if schedule is not None:
            found.append(schedule)
    return DeclaredSchedules(schedules=tuple(found), faults=tuple(faults), names=tuple(table))


def fitting_schedules(
    declared: DeclaredSchedules, stages: Collection[str], models: Collection[str], place: str
) -> DeclaredSchedules:
    """The schedules without those that name stages and models that the workflow doesn't have."""
    found = {
        each.name: [*_stage_faults(each, stages, models, place)] for each in declared.schedules
    }
    return replace(
        declared,
        schedules=tuple(each for each in declared.schedules if not found[each.name]),
        faults=(*declared.faults, *(fault for faults in found.values() for fault in faults)),
    )


def _stage_faults(
    schedule: Schedule, stages: Collection[str], models: Collection[str], place: str
) -> Iterator[Fault]:
    where = f"{place}.{schedule.name}]"
    for name in schedule.stages:
        if name not in stages:
            yield _unknown(where, "stages", f"there is no stage {name!r}", name, stages)
    for name in schedule.train:
        if name not in models:
            yield _unknown(where, "train", f"{name!r} is not a model", name, models)


def _unknown(where: str, key: str, message: str, name: str, known: Collection[str]) -> Fault:
    return Fault(message=f"{key}: {message}", where=where, hint=did_you_mean(name, known))


class _ScheduleReader:
    """Reads one schedule, and collects what is wrong with it."""

    def __init__(self, name: str, entry: object, where: str) -> None:
        self.faults: list[Fault] = []
        self._name, self._where = name, where
        self._table: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
        if not isinstance(entry, dict):
            self._fault(f"{entry!r:.60} is not a table", "write cron = or every = in a table")

    def schedule(self) -> Schedule | None:
        """The schedule; None if anything is wrong with it."""
        if self.faults:
            return None
        if fault := name_fault(self._name):
            self._fault(fault)
        for key in self._table:
            if key not in _KEYS:
                self._fault(f"{key}: {did_you_mean(key, _KEYS)}")
        zone_name = self._text("timezone", "UTC")
        zone = self._zone(zone_name)
        start, end = (self._moment(key, zone) for key in ("start", "end"))
        if start is not None and end is not None and end < start:
            self._fault(f"end = {self._table['end']} is before start = {self._table['start']}")
        rule = self._rule(start)
        options = self._options()
        if isinstance(rule, TickInterval) and options["jitter"] >= rule.seconds:
            self._fault(
                f"jitter = {self._table['jitter']!r} is not shorter than every = {rule.text!r}"
            )
        if self.faults or rule is None:
            return None
        return Schedule(
            name=self._name,
            rule=rule,
            zone=zone,
            timezone=zone_name,
            start=start,
            end=end,
            **options,
        )

    def _options(self) -> dict[str, Any]:
        return {
            "stages": self._names("stages"),
            "train": self._names("train"),
            "environment": self._environment(),
            "catch_up": self._catch_up(),
            "limit": self._limit(),
            "grace": self._seconds("grace", 300.0),
            "jitter": self._seconds("jitter", 0.0),
            "again": self._flag("again"),
        }

    def _rule(self, start: float | None) -> Cron | TickInterval | None:
        named = [key for key in ("cron", "every") if key in self._table]
        if len(named) != 1:
            both = "cron and every can't be combined" if named else "neither cron nor every is set"
            self._fault(both, 'write cron = "0 6 * * *" or every = "15m"')
            return None
        text = self._text(named[0], "")
        if not text:
            return None
        return self._cron(text) if named[0] == "cron" else self._interval(text, start)

    def _cron(self, text: str) -> Cron | None:
        try:
            return parse_cron(text)
        except CronError as error:
            self._fault(f"cron: {error}")
            return None

    def _interval(self, text: str, start: float | None) -> TickInterval | None:
        seconds = self._seconds("every", 0.0)
        if seconds and (seconds < 60 or seconds % 60):
            self._fault(f"every = {text!r} is not in whole minutes", "seconds aren't supported")
            return None
        anchor = 0 if start is None else int(start)
        return TickInterval(text=text, seconds=int(seconds), anchor=anchor) if seconds else None

    def _zone(self, name: str) -> tzinfo:
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = available_timezones()
            lost = "this system has no time zones: install the package tzdata"
            hint = did_you_mean(name, known) if known else lost
            self._fault(f"timezone = {name!r:.60} is not a time zone", hint)
            return UTC

    def _moment(self, key: str, zone: tzinfo) -> float | None:
        value = self._table.get(key)
        if value is None:
            return None
        found: object = value
        if isinstance(value, str):
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                found = None
        elif isinstance(value, date) and not isinstance(value, datetime):
            found = datetime(value.year, value.month, value.day)
        if not isinstance(found, datetime) or found.year not in _YEARS:
            self._fault(
                f"{key} = {value!r:.60} is not a time",
                f'write {key} = "2026-01-01" or "2026-01-01T06:00"',
            )
            return None
        if found.tzinfo is not None:
            return found.timestamp()
        return float(first_time(found.replace(microsecond=0), zone))

    def _environment(self) -> str:
        name = self._text("environment", PRODUCTION)
        try:
            return check_environment_name(name)
        except UsageError as error:
            self._fault(f"environment: {error}")
            return PRODUCTION

    def _catch_up(self) -> CatchUp:
        text = self._text("catch_up", CatchUp.LATEST)
        if text not in [*CatchUp]:
            self._fault(
                f"catch_up = {text!r:.60}: {did_you_mean(text, [str(each) for each in CatchUp])}"
            )
            return CatchUp.LATEST
        return CatchUp(text)

    def _limit(self) -> int:
        value = self._table.get("catch_up_limit", 10)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_RUNS:
            self._fault(
                f"catch_up_limit = {value!r:.60} is not a number of runs from 1 to {_MOST_RUNS:,}"
            )
            return 1
        return value

    def _seconds(self, key: str, default: float) -> float:
        value = self._table.get(key)
        if value is None:
            return default
        try:
            found = 0.0 if value == 0 else parse_seconds(value)
        except ValueError as error:
            self._fault(f"{key}: {error}")
            return default
        if found > _LONGEST_S:
            self._fault(f"{key} = {value!r:.60} is longer than a year")
        return found

    def _text(self, key: str, default: str) -> str:
        if self._table.get(key) == "":
            self._fault(f"{key} is empty", "write a value, or leave it out")
            return default
        return str(self._checked(key, default, lambda value: isinstance(value, str), "text"))

    def _flag(self, key: str) -> bool:
        return bool(
            self._checked(key, False, lambda value: isinstance(value, bool), "true or false")
        )

    def _names(self, key: str) -> tuple[str, ...]:
        def are_names(value: object) -> bool:
            return isinstance(value, list) and all(isinstance(n, str) and n for n in value)

        return tuple(
            dict.fromkeys(self._checked(key, [], are_names, 'a list of names, such as ["sales"]'))
        )

    def _checked(
        self, key: str, default: Any, fits: Callable[[object], object], wanted: str
    ) -> Any:
        value = self._table.get(key, default)
        if fits(value) or value is default:
            return value
        self._fault(f"{key} = {value!r:.60} is not {wanted}")
        return default

    def _fault(self, message: str, hint: str = "") -> None:
        self.faults.append(Fault(message=message, where=self._where, hint=hint))
