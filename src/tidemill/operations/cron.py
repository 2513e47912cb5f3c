"""Cron expressions: parse five fields, and find the times at which they are due in a time zone.

A time of day that the clock skips is due when the clock goes on; several of them are due once. A time that
the clock shows twice is due the first time. Only expressions for every hour follow the clock minute by
minute: they leave out what it skips, and repeat what it repeats.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from tidemill.core.lazy_dataclass import dataclass

_DAY = timedelta(days=1)
# No zone is further from UTC than that.
_WIDEST_S = 30 * 3600
# February 29 on a given weekday comes again after 28 years, or 40 across a century without a leap day.
_HORIZON_DAYS = 41 * 366
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\w+))?")


class CronError(ValueError):
    """An expression can't be read; the message names the field, the place in it, and what fits."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()

    @property
    def examples(self) -> str:
        """What fits the field, in words."""
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{named}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    # Sunday is 0 and 7.
    _Field("day of the week", 0, 7, _WEEKDAYS),
)
_NAMED: Mapping[str, Mapping[str, int]] = {
    field.name: {name: field.low + number for number, name in enumerate(field.names)}
    for field in _FIELDS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A cron expression; days match `days` and `weekdays` (Sunday is 0), or either with `any_day`.

    `last_day` stands for the last day of each month. `hourly` expressions name every hour.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_day: bool = False
    any_day: bool = False

    def __str__(self) -> str:
        return self.text

    @property
    def hourly(self) -> bool:
        """Whether the expression names every hour of the day."""
        return len(self.hours) == 24

    def matches(self, day: date) -> bool:
        """Whether the expression is due on a day."""
        if day.month not in self.months:
            return False
        in_month = day.day in self.days or (self.last_day and _is_last_day(day))
        in_week = day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.any_day else in_month and in_week

    def after(self, moment: float, zone: tzinfo) -> Iterator[int]:
        """Yield the Unix seconds at which the expression is due after a moment, in order."""
        pending: list[int] = []
        first = _local_day(moment, zone) - _DAY
        for day in self._days(first, _DAY):
            yield from _take(pending, moment, _utc_seconds(day) - _WIDEST_S)
            pending += _due_times(self, day, zone)
        yield from _take(pending, moment, float("inf"))

    def before(self, moment: float, zone: tzinfo) -> Iterator[int]:
        """Yield the Unix seconds at which the expression is due up to a moment, the latest first."""
        pending: list[int] = []
        first = _local_day(moment, zone) + _DAY
        for day in self._days(first, -_DAY):
            yield from _take_last(pending, moment, _utc_seconds(day + _DAY) + _WIDEST_S)
            pending += _due_times(self, day, zone)
        yield from _take_last(pending, moment, float("-inf"))

    def _days(self, first: date, step: timedelta) -> Iterator[date]:
        """The matching days from one on, forwards or backwards, as far as any can be."""
        for number in range(_HORIZON_DAYS):
            day = first + number * step
            if self.matches(day):
                yield day


def parse_cron(text: str) -> Cron:
    """Parse five fields (minute, hour, day of the month, month, day of the week), or such as `@daily`.

    Raises CronError, which says where in the expression what is wrong.
    """
    plain = _MACROS.get(text.strip().lower(), text)
    parts = [(found[0], found.start() + 1) for found in re.finditer(r"\S+", plain)]
    _require_five(text, parts)
    read = [
        _parse_field(part, field, at, text)
        for (part, at), field in zip(parts, _FIELDS, strict=True)
    ]
    minutes, hours, days, months, weekdays = (values for values, _ in read)
    # As every cron does: a day has to match both fields, and either of them if both are restricted.
    any_day = not any(parts[index][0].startswith("*") for index in (2, 4))
    last_day = read[2][1]
    if not any_day and not last_day and not _exists(days, months):
        raise CronError(
            f"{text!r} is never due: no month of it has a day {min(days)} (field 3, at character "
            f"{parts[2][1]})"
        )
    return Cron(
        text=text.strip(),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        last_day=last_day,
        any_day=any_day,
    )


def _require_five(text: str, parts: Sequence[tuple[str, int]]) -> None:
    order = "minute, hour, day of the month, month, day of the week"
    if text.strip().startswith("@") and len(parts) != 5:
        known = ", ".join(_MACROS)
        raise CronError(f"{text!r} is not known: there is {known}")
    if len(parts) == 6:
        raise CronError(
            f"{text!r} has six fields: seconds aren't supported; write the five fields {order}"
        )
    if len(parts) != 5:
        raise CronError(f"{text!r} has {len(parts)} fields instead of five: {order}")


def _parse_field(part: str, field: _Field, at: int, text: str) -> tuple[set[int], bool]:
    """The values of a field, and whether it names the last day of the month."""
    found: set[int] = set()
    last_day = False
    for item in part.split(","):
        if item.lower() == "l" and field.name == "day of the month":
            last_day = True
        else:
            found |= _parse_item(item, field, at, text)
        at += len(item) + 1
    return found, last_day


def _parse_item(item: str, field: _Field, at: int, text: str) -> set[int]:
    match = _ITEM.fullmatch(item)
    if match is None or (match["first"] == "*" and match["last"]):
        raise CronError(
            f"{text!r}: {item!r} is not a {field.name}; write {field.examples}, a list `a,b`, a range `a-b`, "
            f"`*` or a step `*/n` ({_place(field, at)})"
        )
    step = 1
    if match["step"]:
        step = _number(
            match["step"], item, field, at + match.start("step"), text, range(1, field.high + 1)
        )
    if match["first"] == "*":
        return set(range(field.low, field.high + 1, step))
    first = _value(match["first"], field, at, text)
    if match["last"]:
        last = _value(match["last"], field, at + match.start("last"), text)
        if last == 0 and field.high == 7:
            last = 7
        if last < first:
            raise CronError(
                f"{text!r}: {item!r} ends before it begins; write the two parts apart, as `a-b,c-d` "
                f"({_place(field, at)})"
            )
    else:
        last = field.high if match["step"] else first
    return set(range(first, last + 1, step))


def _value(word: str, field: _Field, at: int, text: str) -> int:
    named = _NAMED[field.name].get(word.lower())
    if named is not None:
        return named
    return _number(word, word, field, at, text, range(field.low, field.high + 1))


def _number(word: str, item: str, field: _Field, at: int, text: str, fitting: range) -> int:
    if word.isascii() and word.isdigit() and int(word) in fitting:
        return int(word)
    expected = field.examples if fitting[0] == field.low else f"a step of 1 to {fitting[-1]}"
    raise CronError(f"{text!r}: {field.name} {word!r} is not {expected} ({_place(field, at)})")


def _place(field: _Field, at: int) -> str:
    return f"field {_FIELDS.index(field) + 1}, at character {at}"


def _exists(days: set[int], months: set[int]) -> bool:
    return any(min(days) <= _LONGEST_MONTHS[month - 1] for month in months)


def _is_last_day(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]


@lru_cache(maxsize=64)
def _due_times(cron: Cron, day: date, zone: tzinfo) -> tuple[int, ...]:
    """The Unix seconds at which an expression is due on a matching day of a zone, in order."""
    midnight = datetime(day.year, day.month, day.day)
    walls = [hour * 60 + minute for hour in cron.hours for minute in cron.minutes]
    before, after = (_offset(midnight + days * _DAY, zone) for days in (-1, 2))
    if before == after:
        start = _utc_seconds(day) - before
        return tuple(start + wall * 60 for wall in walls)
    found: set[int] = set()
    for wall in walls:
        local = midnight + timedelta(minutes=wall)
        found.update(clock_times(local, zone) if cron.hourly else (first_time(local, zone),))
    return tuple(sorted(found))


def clock_times(local: datetime, zone: tzinfo) -> tuple[int, ...]:
    """The Unix seconds at which the clock of a zone shows a time: none, one or two."""
    return tuple(
        sorted({moment for moment in _candidates(local, zone) if _shown(moment, zone) == local})
    )


def first_time(local: datetime, zone: tzinfo) -> int:
    """The Unix seconds at which the clock of a zone first shows a time, or goes on past it."""
    shown = clock_times(local, zone)
    if shown:
        return shown[0]
    # The clock skips the time: find when it does.
    early, late = sorted(_candidates(local, zone))
    while late - early > 1:
        middle = (early + late) // 2
        if _shown(middle, zone) < local:
            early = middle
        else:
            late = middle
    return late


def _candidates(local: datetime, zone: tzinfo) -> tuple[int, int]:
    wall = int(local.replace(tzinfo=UTC).timestamp())
    return wall - _offset(local, zone), wall - _offset(local.replace(fold=1), zone)


def _shown(moment: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _offset(local: datetime, zone: tzinfo) -> int:
    """Seconds by which a zone is ahead of UTC at a local time."""
    offset = local.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _local_day(moment: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(moment, zone).date()


def _utc_seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _take(pending: list[int], after: float, until: float) -> Iterator[int]:
    """Take the times before one from a list, and yield those after a moment, in order."""
    ready = sorted(time for time in pending if time < until)
    pending[:] = [time for time in pending if time >= until]
    yield from dict.fromkeys(time for time in ready if time > after)


def _take_last(pending: list[int], until: float, after: float) -> Iterator[int]:
    """Take the times after one from a list, and yield those up to a moment, the latest first."""
    ready = sorted((time for time in pending if time > after), reverse=True)
    pending[:] = [time for time in pending if time <= after]
    yield from dict.fromkeys(time for time in ready if time <= until)
