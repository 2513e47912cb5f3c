"""The scale of an axis of time: ticks at the beginning of years, months, days, hours, minutes, seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from tidemill.drawing.scale import Scale, Tick, finite

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400
_MONTH, _YEAR = 30 * _DAY, 365 * _DAY
# The steps between ticks: how many of which unit.
_STEPS = (
    *((_SECOND, n) for n in (1, 2, 5, 10, 15, 30)),
    *((_MINUTE, n) for n in (1, 2, 5, 10, 15, 30)),
    *((_HOUR, n) for n in (1, 2, 3, 6, 12)),
    *((_DAY, n) for n in (1, 2, 7, 14)),
    *((_MONTH, n) for n in (1, 2, 3, 6)),
    *((_YEAR, n) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)),
)
# English month names whatever the locale is, so that the same values give the same drawing.
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A Monday, from which weeks are counted.
_MONDAY = datetime(1, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_LATEST = (datetime(9998, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


def time_scale(
    values: Iterable[float | None], *, count: int = 6, whole_days: bool = False
) -> Scale:
    """A scale over times in Unix seconds, with at most about `count` ticks, labelled in UTC.

    A tick's note is what its label leaves out, such as the year, where it changes. With `whole_days` no
    tick is within a day.
    """
    found = [min(max(value, _EARLIEST), _LATEST) for value in finite(values)] or [0.0]
    low, high = min(found), max(found)
    if high - low < 2:
        low, high = low - _DAY / 2, high + _DAY / 2
    steps = [step for step in _STEPS if step[0] >= _DAY or not whole_days]
    unit, number = next(
        (step for step in steps if step[0] * step[1] * count >= high - low), steps[-1]
    )
    start, end = (_EPOCH + timedelta(seconds=value) for value in (low, high))
    moments = takewhile(lambda at: at <= end, _moments(start, unit, number))
    ticks = tuple(_labelled([at for at in moments if at >= start], unit))
    return Scale(low=low, high=high, ticks=ticks)


def _moments(start: datetime, unit: int, number: int) -> Iterator[datetime]:
    """Multiples of a step, from the last one before `start`."""
    if unit >= _MONTH:
        months = number * (12 if unit == _YEAR else 1)
        passed = start.year * 12 + start.month - 1
        at = passed // months * months
        while at < 9_999 * 12:
            yield datetime(max(at // 12, 1), at % 12 + 1, 1, tzinfo=UTC)
            at += months
        return
    step = timedelta(seconds=unit * number)
    moment = _MONDAY + (start - _MONDAY) // step * step
    while True:
        yield moment
        moment += step


def _labelled(moments: Iterable[datetime], unit: int) -> Iterator[Tick]:
    before = ""
    for at in moments:
        label, note = _label(at, unit)
        yield Tick(
            value=(at - _EPOCH).total_seconds(), label=label, note=note if note != before else ""
        )
        before = note


def _label(at: datetime, unit: int) -> tuple[str, str]:
    month = MONTHS[at.month - 1]
    if unit == _YEAR:
        return str(at.year), ""
    if unit == _MONTH:
        return month, str(at.year)
    if unit == _DAY:
        return f"{at.day} {month}", str(at.year)
    return f"{at:%H:%M:%S}" if unit == _SECOND else f"{at:%H:%M}", f"{at.day} {month} {at.year}"
