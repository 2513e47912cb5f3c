"""When the note of a week is due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import time_zone
from tidemill.scorecard.scorecard_settings import WeeklyTime

# A note that wasn't sent in its time is still sent so much later.
LATE_S = 3 * 86_400.0
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyTick:
    """The time (Unix seconds) at which the note of the ISO week `period`, such as "2026-W48", is due."""

    period: str
    at: float


def last_weekly_tick(weekly: WeeklyTime, zone: str, now: float) -> WeeklyTick:
    """The newest tick up to now (Unix seconds), in a time zone."""
    moment = datetime.fromtimestamp(now, UTC).astimezone(time_zone(zone))
    day = moment.date() - timedelta(days=(moment.weekday() - weekly.weekday) % 7)
    found = datetime.combine(day, time(weekly.hour, weekly.minute), time_zone(zone))
    if found.timestamp() > now:
        found = datetime.combine(day - _WEEK, time(weekly.hour, weekly.minute), time_zone(zone))
    year, week, _ = found.isocalendar()
    return WeeklyTick(period=f"{year}-W{week:02}", at=found.timestamp())


def next_weekly_tick(weekly: WeeklyTime, zone: str, now: float) -> float:
    """The first tick after now."""
    # A week may be an hour shorter or longer than 7 days.
    later = last_weekly_tick(weekly, zone, now + 7 * 86_400.0 + 7_200.0).at
    sooner = last_weekly_tick(weekly, zone, now + 7 * 86_400.0 - 7_200.0).at
    return sooner if sooner > now else later
