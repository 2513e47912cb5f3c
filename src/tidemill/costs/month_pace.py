"""How much of a month's budget will be spent if spending goes on as it did."""

from __future__ import annotations

from tidemill.core.local_day import day_start
from tidemill.costs.budget import month_end, month_of

# Before so much of a month is over, what was spent says little about the rest.
_LEAST_S = 2 * 86_400.0


def month_pace(spent: float, now: float, zone: str) -> float | None:
    """What will be spent by the end of the month that `now` (Unix seconds) is in; None in its first days."""
    begin, end = day_start(f"{month_of(now, zone)}-01", zone), month_end(now, zone)
    passed = now - begin
    return spent / passed * (end - begin) if passed >= _LEAST_S else None
