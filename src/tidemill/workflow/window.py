"""Which partitions of an input a stage sees: the newest so many, or all.

Windows are anchored at a partition (a stage's own, or the newest published), never at the clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import TypeAlias

from tidemill.core.partition import Grain, Span, end_of, parse_span, start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last so many units of time, or partitions, that end where `before` begins."""

    length: Span | int
    before: Last | None = None

    def __str__(self) -> str:
        tail = f" before the last {self.before}" if self.before else ""
        return f"{self.length}{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every published partition."""

    def __str__(self) -> str:
        return "all"


# The least and the most hours of a unit.
_DAY, _WEEK, _MONTH, _HOUR = (24, 24), (168, 168), (672, 744), (1, 1)
_UNITS = {
    "h": _HOUR, "d": _DAY, "w": _WEEK, "mo": _MONTH,
    Grain.HOUR: _HOUR, Grain.DAY: _DAY, Grain.WEEK: _WEEK, Grain.MONTH: _MONTH,
}  # fmt: skip

Window: TypeAlias = Last | All

all_partitions = All()


def last(length: str | int, *, before: Last | None = None) -> Last:
    """The newest `length` (such as "60d", or a number of partitions) that ends where `before` begins.

    Raises ValueError for a length that is not a positive count, `36h`, `60d`, `8w` or `3mo`.
    """
    span = parse_span(length) if isinstance(length, str) else length
    counted = isinstance(span, int) and not isinstance(span, bool) and span >= 1
    if not isinstance(span, Span) and not counted:
        raise ValueError(
            f"last({length!r}): the length must be at least 1 partition, or a time such as '7d'"
        )
    if before is not None and not isinstance(before, Last):
        raise ValueError(f"before={before!r} must itself be a window such as last('7d')")
    return Last(length=span, before=before)


def select(window: Window, keys: Sequence[str], grain: Grain, anchor: str) -> list[str]:
    """The partitions of `keys` (sorted) that `window` covers when it ends with `anchor`.

    A span of time covers the partitions that begin in it.
    """
    stop = bisect_right(keys, anchor)
    if isinstance(window, All):
        return list(keys[:stop])
    first, stop, _ = _last(window, keys, grain, stop, end_of(anchor, grain))
    return list(keys[first:stop])


def _last(
    window: Last, keys: Sequence[str], grain: Grain, stop: int, end: datetime
) -> tuple[int, int, datetime]:
    """Where the window begins and stops among `keys`, and the moment where it begins."""
    if window.before is not None:
        stop, _, end = _last(window.before, keys, grain, stop, end)
    if isinstance(window.length, int):
        first = max(0, stop - window.length)
        return first, stop, start_of(keys[first], grain) if first < stop else end
    begin = window.length.before(end)
    return bisect_left(keys, begin, 0, stop, key=lambda key: start_of(key, grain)), stop, begin


def too_short(window: Window, grain: Grain) -> bool:
    """Whether a window may hold no partition at all because it is shorter than one."""
    if isinstance(window, All) or isinstance(window.length, int) or window.length.unit == "mo":
        return False
    return _hours(window.length, grain)[0] < _UNITS[grain][1]


def overlap(one: Window, other: Window, grain: Grain) -> bool:
    """Whether two windows with the same anchor can share a partition.

    Doubt means overlap: months have 28 to 31 days, and there may be gaps between partitions, so that
    a number of them covers at least, but not at most, as much time.
    """
    if isinstance(one, All) or isinstance(other, All):
        return True
    if one.before == other or other.before == one:
        return False
    counted = all(isinstance(length, int) for length in (*_lengths(one), *_lengths(other)))
    near_one, far_one = _reach(one, grain, counted)
    near_other, far_other = _reach(other, grain, counted)
    return near_one < far_other and near_other < far_one


def _lengths(window: Last | None) -> list[Span | int]:
    """The lengths from the window inwards to the anchor."""
    return [window.length, *_lengths(window.before)] if window else []


def _reach(window: Last, grain: Grain, counted: bool) -> tuple[float, float]:
    """The least distance from the anchor's end to the window's end, and the most to its begin."""
    measures = [
        (length, length) if counted and isinstance(length, int) else _hours(length, grain)
        for length in _lengths(window)
    ]
    return sum(least for least, _ in measures[1:]), sum(most for _, most in measures)


def _hours(length: Span | int, grain: Grain) -> tuple[float, float]:
    """The least and the most hours that a length can be."""
    if isinstance(length, int):
        return length * _UNITS[grain][0], inf
    least, most = _UNITS[length.unit]
    return length.count * least, length.count * most


def written(window: Window) -> str:
    """A window as one writes it."""
    if isinstance(window, All):
        return "tm.all"
    length = window.length if isinstance(window.length, int) else f"'{window.length}'"
    return f"tm.last({length}{f', before={written(window.before)}' if window.before else ''})"
