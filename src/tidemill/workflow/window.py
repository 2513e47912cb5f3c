"""Windows: which partitions of an input a stage reads, the last few or all.

A window is anchored at a partition (the stage's own, or the newest published), never at the clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from math import inf
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain, Span, parse_span, partition_end, partition_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last `length` (a span of time, or a number of partitions), ending where `before` begins."""

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


# The minimum and maximum hours of a unit.
_DAY, _WEEK, _MONTH, _HOUR = (24, 24), (168, 168), (672, 744), (1, 1)
_UNITS = {
    "h": _HOUR, "d": _DAY, "w": _WEEK, "mo": _MONTH,
    Grain.HOUR: _HOUR, Grain.DAY: _DAY, Grain.WEEK: _WEEK, Grain.MONTH: _MONTH,
}  # fmt: skip

Window: TypeAlias = Last | All

all_partitions = All()


def last(length: str | int, *, before: Last | None = None) -> Last:
    """Select the newest partitions of an input: `last("60d")`, or `last(30)` for 30 partitions.

    The window ends with the newest partition, or where the window `before` begins:
    `tm.last("60d", before=tm.last("7d"))` keeps training apart from an evaluation on the last 7 days.
    Raises ValueError for a length that isn't a positive count or a time such as `36h`, `60d`, `8w` or
    `3mo`.
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


def select_partitions(window: Window, keys: Sequence[str], grain: Grain, anchor: str) -> list[str]:
    """Return the partitions of `keys` (sorted) that `window` covers when it ends with `anchor`.

    A span of time covers the partitions that begin within it.
    """
    stop = bisect_right(keys, anchor)
    if isinstance(window, All):
        return list(keys[:stop])
    first, stop, _ = _last(window, keys, grain, stop, partition_end(anchor, grain))
    return list(keys[first:stop])


def _last(
    window: Last, keys: Sequence[str], grain: Grain, stop: int, end: datetime
) -> tuple[int, int, datetime]:
    """Return the first and stop index of the window in `keys`, and the moment at which it begins."""
    if window.before is not None:
        stop, _, end = _last(window.before, keys, grain, stop, end)
    if isinstance(window.length, int):
        first = max(0, stop - window.length)
        return first, stop, partition_start(keys[first], grain) if first < stop else end
    begin = window.length.before(end)
    return (
        bisect_left(keys, begin, 0, stop, key=lambda key: partition_start(key, grain)),
        stop,
        begin,
    )


def may_be_empty(window: Window, grain: Grain) -> bool:
    """Whether a window is shorter than one partition, so that it may be empty."""
    if isinstance(window, All) or isinstance(window.length, int) or window.length.unit == "mo":
        return False
    return _hours(window.length, grain)[0] < _UNITS[grain][1]


def may_overlap(one: Window, other: Window, grain: Grain) -> bool:
    """Whether two windows with the same anchor can share a partition.

    Errs on the side of overlap: months have 28 to 31 days, and partitions may have gaps, so that a
    number of partitions has a minimum length in time but no maximum.
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
    """Return the lengths of the window and of those that it ends before, outermost first."""
    return [window.length, *_lengths(window.before)] if window else []


def _reach(window: Last, grain: Grain, counted: bool) -> tuple[float, float]:
    """Return the minimum hours from the anchor's end to the window's end, and the maximum to its begin."""
    measures = [
        (length, length) if counted and isinstance(length, int) else _hours(length, grain)
        for length in _lengths(window)
    ]
    return sum(least for least, _ in measures[1:]), sum(most for _, most in measures)


def _hours(length: Span | int, grain: Grain) -> tuple[float, float]:
    """Return the minimum and maximum hours that a length can cover."""
    if isinstance(length, int):
        return length * _UNITS[grain][0], inf
    least, most = _UNITS[length.unit]
    return length.count * least, length.count * most


def window_code(window: Window) -> str:
    """Format a window as the code that declares it, such as `tm.last('7d')`."""
    if isinstance(window, All):
        return "tm.all"
    length = window.length if isinstance(window.length, int) else f"'{window.length}'"
    return f"tm.last({length}{f', before={window_code(window.before)}' if window.before else ''})"
