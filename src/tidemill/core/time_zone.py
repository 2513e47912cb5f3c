"""Time zones by name."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemill.core.errors import UsageError


@lru_cache
def time_zone(name: str) -> ZoneInfo:
    """The time zone of that name; UsageError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{name!r} is not a time zone that this machine knows, such as 'Europe/Berlin' or 'UTC'"
        ) from error
