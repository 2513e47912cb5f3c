"""Format times and messages as plain text."""

from __future__ import annotations

from datetime import datetime

import click

from tidemill.core.counts import plural as plural
from tidemill.core.figures import approximate_seconds as approximate_seconds
from tidemill.core.figures import count as count
from tidemill.core.figures import seconds as seconds
from tidemill.core.figures import size as size
from tidemill.core.printable import printable_lines


def local_time(unix: float) -> str:
    """A Unix time in the local time zone, to the second; the seconds for one beyond the year 9999."""
    try:
        return datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OSError, OverflowError, ValueError):
        return f"{unix:.0f} s"


def plain_text(text: str) -> str:
    """Messages and log lines of others, without their colours; other control characters are escaped."""
    return printable_lines(click.unstyle(text))
