"""Draw days as a calendar of coloured cells: weeks are columns, and years are below each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from math import ceil, isfinite

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import hint
from tidemill.drawing.links import link
from tidemill.drawing.status import DrawnStatus, glyph
from tidemill.drawing.svg import SMALL_SIZE, Drawing, number, text
from tidemill.drawing.time_scale import MONTHS

_MOST_DAYS = 20 * 366
_CLASSES = 5
_STEP, _CELL = 14.0, 12.0
_LEFT, _YEAR_LINE, _MONTH_LINE, _YEAR_GAP = 30.0, 18.0, 14.0, 12.0
_GLYPH = 8.0
_DAY = timedelta(days=1)
_WEEKDAYS = {0: "Mon", 2: "Wed", 4: "Fri"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMap:
    """The days from `first` to `last`, with a value or a status each, or neither.

    `notes` say more of days than their values do, and `links` are where days lead to.
    """

    first: date
    last: date
    values: Mapping[date, float] = field(default_factory=dict)
    statuses: Mapping[date, DrawnStatus] = field(default_factory=dict)
    notes: Mapping[date, str] = field(default_factory=dict)
    links: Mapping[date, str] = field(default_factory=dict)


def draw_calendar(calendar: CalendarMap) -> Drawing:
    """Draw a cell of each day: the more of a value, the stronger its colour, in steps of equally many days.

    Zero has a colour of its own, and a day without value and status is an empty frame. Raises ValueError
    for more than twenty years.
    """
    days = (calendar.last - calendar.first).days + 1
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError(
            f"a calendar has 1 to {_MOST_DAYS:,} days, and not {days:,}: narrow the range"
        )
    bounds = quantile_bounds(calendar.values.values())
    parts, y, columns = list[str](), 0.0, 3
    for year in range(calendar.first.year, calendar.last.year + 1):
        start = max(calendar.first, date(year, 1, 1))
        end = min(calendar.last, date(year, 12, 31))
        # The column of a day counts from the first week that is drawn of its year.
        monday = start - start.weekday() * _DAY
        top = y + _YEAR_LINE + _MONTH_LINE
        parts += [_captions(start, end, monday, y), *_weekdays(top)]
        day = start
        while day <= end:
            x = _LEFT + (day - monday).days // 7 * _STEP
            parts.append(_cell(calendar, day, x, top + day.weekday() * _STEP, bounds))
            day += _DAY
        columns = max(columns, (end - monday).days // 7 + 1)
        y = top + 7 * _STEP + _YEAR_GAP
    return Drawing(width=_LEFT + columns * _STEP, height=y - _YEAR_GAP, markup="".join(parts))


def quantile_bounds(values: Iterable[float]) -> list[float]:
    """The greatest values of the first four of five classes of about equally many positive values."""
    found = sorted(value for value in values if isfinite(value) and value > 0)
    return [found[ceil(len(found) * n / _CLASSES) - 1] for n in range(1, _CLASSES) if found]


def _captions(start: date, end: date, monday: date, y: float) -> str:
    """The year, and each month above the week with its first day."""
    parts = [text(str(start.year), _LEFT, y + 12, kind="heading", size=13, width=60)]
    month = start
    while month <= end:
        column = (month - monday).days // 7 + (month.weekday() > 0 and month > start)
        following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        # A month of which only a few days are drawn has no room for its name.
        if (min(following, end + _DAY) - month).days > 13 or month == start:
            label = MONTHS[month.month - 1]
            at = _LEFT + column * _STEP
            parts.append(
                text(label, at, y + _YEAR_LINE + 10, kind="tick", size=SMALL_SIZE, width=40)
            )
        month = following
    return "".join(parts)


def _weekdays(top: float) -> list[str]:
    return [
        text(name, 0, top + row * _STEP + _CELL - 2, kind="tick", size=SMALL_SIZE, width=40)
        for row, name in _WEEKDAYS.items()
    ]


def _cell(calendar: CalendarMap, day: date, x: float, y: float, bounds: Sequence[float]) -> str:
    status, value = calendar.statuses.get(day), calendar.values.get(day)
    css, shown, mark = "day", "no value", ""
    if status is not None:
        css, shown = f"day state {status.css}", str(status)
        inset = (_CELL - _GLYPH) / 2
        mark = glyph(status, x + inset, y + inset, _GLYPH)
    elif value is not None and isfinite(value):
        css, shown = f"day heat-{heat_class(value, bounds)}", f"{value:,.6g}"
    label = f"{day}: {calendar.notes.get(day) or shown}"
    cell = number(_CELL)
    square = f'class="{css}" d="M{number(x)} {number(y)}h{cell}v{cell}h-{cell}z"'
    href = calendar.links.get(day, "")
    if not href and not mark:
        return f"<path {square}>{hint(label)}</path>"
    return link(f"<path {square}/>{mark}", href, label=label, css=status.css if status else "")


def heat_class(value: float, bounds: Sequence[float]) -> int:
    """The step of a value: 0 for nothing, then 1 to 5."""
    return 0 if value <= 0 else 1 + bisect_left(bounds, value)
