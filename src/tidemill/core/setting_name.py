"""The names that people give to tables of the settings, such as those of schedules and channels."""

from __future__ import annotations

import re

from tidemill.core.printable import printable, shorten

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SHOWN = 60


def name_fault(name: str) -> str:
    """Why a text is no such name; empty if it is one."""
    if _NAME.fullmatch(name):
        return ""
    return (
        f"{shorten(name, _SHOWN)!r} is not a name: begin with a letter A-Z, a-z or a digit, go on with "
        "those, `_`, `.` and `-`, up to 100 characters"
    )


def shown_name(name: str) -> str:
    """A name that nobody checked, in one short line."""
    return printable(shorten(name, _SHOWN))
