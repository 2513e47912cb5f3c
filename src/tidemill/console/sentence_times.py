"""Find the times in sentences, so that pages can show them in the zone of who looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup, escape

# As sentences have them: to the minute or the second, with the zone of this machine or UTC.
_TIME = re.compile(
    r"\b(\d{4}-\d\d-\d\d \d\d:\d\d)(:\d\d)? (UTC|[A-Z]{3,5}|[+-]\d\d(?:\d\d)?)(?!\w)"
)

_DATE = re.compile(r"\b\d{4}-\d\d(?:-\d\d(?:T\d\d)?)?\b")


def mark_times(html: str, element: Callable[[float], str]) -> Markup:
    """The text with each time that names its zone as an element, which is made of Unix seconds."""

    def marked(found: re.Match[str]) -> str:
        at = _seconds(found[1] + (found[2] or ":00"), found[3])
        return found[0] if at is None else element(at)

    return Markup(_TIME.sub(marked, html))


def keep_dates(text: str) -> Markup:
    """The text as HTML, in which lines aren't broken within a date or a month."""
    return Markup(_DATE.sub(r'<span class="date">\g<0></span>', str(escape(text))))


def _seconds(text: str, zone: str) -> float | None:
    """The Unix seconds of a time; None if it isn't of the calendar, or of a zone that isn't known here."""
    try:
        naive = datetime.fromisoformat(text)
        if zone == "UTC":
            return naive.replace(tzinfo=UTC).timestamp()
        local = naive.astimezone()
    except (OSError, OverflowError, ValueError):
        return None
    return local.timestamp() if local.tzname() == zone else None
