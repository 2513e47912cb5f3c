"""The days that a report of costs is about, as people name them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.core.units import parse_seconds

_MONTH = re.compile(r"\d{4}-\d{2}")
TODAY, THIS_MONTH, LAST_MONTH = "today", "this-month", "last-month"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRange:
    """Whole days, from `first` to `last`, such as "2013-03-07"; both belong to it."""

    first: str
    last: str

    def contains(self, day: str) -> bool:
        """Whether a day belongs to it."""
        return self.first <= day <= self.last

    @property
    def days(self) -> int:
        """How many days there are."""
        return (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days + 1


def parse_days(text: str | float, now: float, zone: str) -> DayRange:
    """The days that a text names, as of now (Unix seconds), in a time zone.

    These are `today`, `this-month`, `last-month`, a month such as `2013-03`, or a length of time such as
    `30d`, which ends now. UsageError for another text.
    """
    today = local_day(now, zone)
    match text:
        case "today":
            return DayRange(first=today, last=today)
        case "this-month":
            return _month(today)
        case "last-month":
            before = date.fromisoformat(f"{today[:7]}-01") - timedelta(days=1)
            return _month(before.isoformat())
        case str() if _MONTH.fullmatch(text):
            try:
                return _month(date.fromisoformat(f"{text}-01").isoformat())
            except ValueError:
                raise UsageError(f"{text!r} is not a month, such as 2013-03") from None
    try:
        return DayRange(first=local_day(now - parse_seconds(text), zone), last=today)
    except ValueError as error:
        raise UsageError(
            f"{error}; or name {TODAY}, {THIS_MONTH}, {LAST_MONTH}, or a month such as 2013-03"
        ) from error


def _month(day: str) -> DayRange:
    """The month that a day is in."""
    month = day[:7]
    last = monthrange(int(month[:4]), int(month[5:]))[1]
    return DayRange(first=f"{month}-01", last=f"{month}-{last:02}")
