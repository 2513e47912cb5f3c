"""The day of a moment in a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from tidemill.core.time_zone import time_zone as time_zone

# Offsets from UTC, and their changes, are multiples of a quarter of an hour.
_QUARTER_S = 900


def local_day(at: float, zone: str) -> str:
    """The day of a Unix time in a time zone, such as "2013-03-07"; the calendar's last for one beyond it."""
    return _day_of_quarter(int(at // _QUARTER_S), zone)


def weekday(day: str) -> int:
    """The weekday of a day: 0 for Monday."""
    return date.fromisoformat(day).weekday()


def day_start(day: str, zone: str) -> float:
    """The Unix time at which a day begins in a time zone."""
    return datetime.fromisoformat(day).replace(tzinfo=time_zone(zone)).timestamp()


@lru_cache(maxsize=50_000)
def _day_of_quarter(quarter: int, zone: str) -> str:
    try:
        moment = datetime.fromtimestamp(quarter * _QUARTER_S, UTC).astimezone(time_zone(zone))
    except (OverflowError, ValueError, OSError):
        return (date.max if quarter > 0 else date.min + timedelta(days=1)).isoformat()
    return moment.date().isoformat()
