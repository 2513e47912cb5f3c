"""The partitions of a stage by day and by month, without a list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain, Partitioning, partition_start
from tidemill.drawing.calendar_map import CalendarMap, draw_calendar
from tidemill.drawing.document import page_element
from tidemill.ledger.binding import Binding

# A calendar has so many days, a table so many months.
_DAYS, _MONTHS = 53 * 7, 36
# Two days so far apart have no gap between them: one of them is an odd value.
_LONGEST_GAP = 3_660
# What was published within an hour was published together.
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionPeriod:
    """What is published of a day or a month; `missing` are days between the first and the last one without.

    The newest of it was published at `published` (Unix seconds).
    """

    period: str
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    published: float | None = None
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCalendar:
    """The last days of a stage by hour or by day, and its last months; `earlier` months aren't shown."""

    days: tuple[PartitionPeriod, ...] = ()
    months: tuple[PartitionPeriod, ...] = ()
    earlier: int = 0


def partition_calendar(
    partitioning: Partitioning, bound: Mapping[str, Binding]
) -> PartitionCalendar:
    """The calendar of published partitions; an empty one for keys that are no times."""
    grain = partitioning.grain
    if grain is None:
        return PartitionCalendar()
    days: dict[date, list[Binding]] = {}
    for key, binding in bound.items():
        day = _day(key, grain)
        if day is not None:
            days.setdefault(day, []).append(binding)
    if not days:
        return PartitionCalendar()
    is_daily = grain in (Grain.HOUR, Grain.DAY)
    months: dict[str, dict[date, list[Binding]]] = {}
    for day in sorted(days):
        months.setdefault(day.isoformat()[:7], {})[day] = days[day]
    gaps = _gaps(sorted(days)) if is_daily else {}
    shown = [*islice(reversed(months.items()), _MONTHS)]
    first = max(days) - timedelta(days=_DAYS - 1) if max(days).year > 2 else date.min
    return PartitionCalendar(
        days=tuple(_period(day.isoformat(), days[day]) for day in sorted(days) if day >= first)
        if is_daily
        else (),
        months=tuple(
            _period(month, (one for some in own.values() for one in some), gaps.get(month, 0))
            for month, own in shown
        ),
        earlier=len(months) - len(shown),
    )


def _day(key: str, grain: Grain) -> date | None:
    try:
        return partition_start(key, grain).date()
    except UsageError:
        return None


def _gaps(days: list[date]) -> dict[str, int]:
    """How many days of each month aren't there, between the first and the last day."""
    found: dict[str, int] = {}
    for before, after in pairwise(days):
        if (after - before).days > _LONGEST_GAP:
            continue
        missing = before + timedelta(days=1)
        while missing < after:
            month = missing.isoformat()[:7]
            found[month] = found.get(month, 0) + 1
            missing += timedelta(days=1)
    return found


def _period(name: str, bound: Iterable[Binding], missing: int = 0) -> PartitionPeriod:
    own = [*bound]
    products = [binding.product for binding in own]
    return PartitionPeriod(
        period=name,
        partitions=len(own),
        rows=sum(product.rows for product in products),
        bytes=sum(product.bytes for product in products),
        quarantined=sum(product.quarantined for product in products),
        published=max((binding.at for binding in own), default=None),
        missing=missing,
    )


def picture_of_days(
    days: Sequence[Mapping[str, Any]], by: str, url: Callable[..., str], stage: str
) -> str:
    """Draw the days of a stage's calendar for a page, coloured `by` their rows, or by their publication.

    A day leads to its partitions.
    """
    dates = {date.fromisoformat(day["period"]): day for day in days}
    values = {
        at: float(day["rows"] if by == "rows" else day["published"] // _HOUR_S)
        for at, day in dates.items()
    }
    drawing = draw_calendar(
        CalendarMap(
            first=min(dates),
            last=max(dates),
            values=values,
            notes={at: _note(day) for at, day in dates.items()},
            links={
                at: url("stages", stage, "partitions", contains=day["period"])
                for at, day in dates.items()
            },
        )
    )
    return page_element(drawing, prefix="days", title=f"Days of {stage} by {by}")


def _note(day: Mapping[str, Any]) -> str:
    published = datetime.fromtimestamp(day["published"], UTC)
    return f"{plural(day['rows'], 'row')}, published {published:%Y-%m-%d %H:%M} UTC"
