"""The eight statuses of stages and steps, and their glyphs, which differ in shape and not only in colour."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from tidemill.drawing.svg import number

GLYPH = 14.0


class DrawnStatus(StrEnum):
    """What a person needs to know of a stage or a step, the most urgent first."""

    FAILED = "failed"
    RUNNING = "running"
    STALE = "stale"
    DUE = "due"
    WAITING = "waiting"
    NEVER = "never run"
    CURRENT = "up to date"
    UNKNOWN = "unknown"

    @property
    def css(self) -> str:
        """The CSS class of elements in this status, and the name of its colour."""
        return self.name.lower()


# In squares of 14 pixels; where outlines overlap, the inner one is a hole.
_GLYPHS: Mapping[DrawnStatus, str] = {
    # A cross.
    DrawnStatus.FAILED: "M3.4 1L7 4.6L10.6 1L13 3.4L9.4 7L13 10.6L10.6 13L7 9.4L3.4 13L1 10.6L4.6 7L1 3.4z",
    # A triangle that points ahead.
    DrawnStatus.RUNNING: "M3 1L12.5 7L3 13z",
    # An hourglass.
    DrawnStatus.STALE: "M2 1H12V3.2L8.6 7L12 10.8V13H2V10.8L5.4 7L2 3.2z",
    # A circle of which a half is full.
    DrawnStatus.DUE: "M7 1A6 6 0 0 1 7 13A6 6 0 0 1 7 1zM7 2.7A4.3 4.3 0 0 0 7 11.3z",
    # Two bars.
    DrawnStatus.WAITING: "M3 1.5H6V12.5H3zM8 1.5H11V12.5H8z",
    # A ring.
    DrawnStatus.NEVER: "M7 1A6 6 0 0 1 7 13A6 6 0 0 1 7 1zM7 2.9A4.1 4.1 0 0 0 7 11.1A4.1 4.1 0 0 0 7 2.9z",
    # A tick.
    DrawnStatus.CURRENT: "M1 7.6L3 5.5L5.6 8.2L11.2 2L13.2 4L5.7 12.4z",
    # A question mark.
    DrawnStatus.UNKNOWN: "M3.2 4.6C3.2 2.3 4.8 1 7.1 1C9.4 1 11 2.3 11 4.4C11 6.9 8.1 7 8.1 9.2H6"
    "C6 6.2 8.8 6.2 8.8 4.5C8.8 3.5 8.1 2.9 7.1 2.9C6 2.9 5.3 3.5 5.3 4.6zM6 10.7H8.2V13H6z",
}


def glyph(status: DrawnStatus, x: float, y: float, size: float = GLYPH) -> str:
    """The glyph of a status in its colour; `x` and `y` are its upper left corner."""
    scale = "" if size == GLYPH else f" scale({size / GLYPH:.3f})"
    return (
        f'<path class="glyph" transform="translate({number(x)} {number(y)}){scale}"'
        f' d="{_GLYPHS[status]}"/>'
    )


def glyph_path(status: DrawnStatus) -> str:
    """The outline of a glyph, in a square of `GLYPH` pixels."""
    return _GLYPHS[status]


def status_symbols() -> str:
    """An SVG document with a symbol for each status by its CSS class, in the colour of the text around it."""
    symbols = (
        f'<symbol id="{status.css}" viewBox="0 0 14 14">'
        f'<path d="{path}" fill="currentColor" fill-rule="evenodd"/></symbol>'
        for status, path in _GLYPHS.items()
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>'


def most_urgent(statuses: Mapping[DrawnStatus, int]) -> DrawnStatus:
    """The status that matters most of those that occur; `UNKNOWN` if none does."""
    return next((status for status in DrawnStatus if statuses.get(status)), DrawnStatus.UNKNOWN)


def count_statuses(statuses: Mapping[DrawnStatus, int]) -> str:
    """How many are in each status, the most urgent first: `2 failed, 9 up to date`."""
    return ", ".join(f"{statuses[each]} {each}" for each in DrawnStatus if statuses.get(each))
