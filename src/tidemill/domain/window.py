"""Which partitions of an input a stage sees: the newest so many, or all.

Windows are anchored at a partition (a stage's own, or the newest published), never at the clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from tidemill.domain.partition import Grain, Span, end_of, parse_span, start_of


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


_DAY, _WEEK, _MONTH, _HOUR = (24, 24), (168, 168), (672, 744), (1, 1)
_UNITS = {
    "h": _HOUR, "d": _DAY, "w": _WEEK, "mo": _MONTH,
    "hour": _HOUR, "day": _DAY, "week": _WEEK, "month": _MONTH, "None": _HOUR,
}  # fmt: skip

Window: TypeAlias = Last | All

all_partitions = All()


def last(length: str | int, *, before: Last | None = None) -> Last:
    """The newest `length` (such as "60d", or a number of partitions) that ends where `before` begins.

    Raises ValueError for a length that is not a positive count, `36h`, `60d`, `8w` or `3mo`.
    """
    if isinstance(length, bool) or (isinstance(length, int) and length < 1):
        raise ValueError(
            f"last({length!r}): the length must be at least 1 partition, or a time such as '7d'"
        )
    span = parse_span(length) if isinstance(length, str) else length
    if before is not None and not isinstance(before, Last):
        raise ValueError(f"before={before!r} must itself be a window such as last('7d')")
    return Last(length=span, before=before)


def select(window: Window, keys: Sequence[str], grain: Grain, anchor: str) -> list[str]:
    """The partitions of `keys` (sorted) that `window` covers when it ends with `anchor`."""
    upto = keys[: bisect_left(keys, anchor) + (anchor in keys)]
    if isinstance(window, All):
        return list(upto)
    return _last(window, list(upto), grain, end_of(anchor, grain))[0]


def _last(window: Last, keys: list[str], grain: Grain, end: datetime) -> tuple[list[str], datetime]:
    """The keys of the window and the moment where it begins."""
    if window.before is not None:
        inner, end = _last(window.before, keys, grain, end)
        keys = keys[: len(keys) - len(inner)] if inner else keys
    keys = [key for key in keys if start_of(key, grain) < end]
    if isinstance(window.length, int):
        chosen = keys[-window.length :]
        return chosen, start_of(chosen[0], grain) if chosen else end
    begin = window.length.before(end)
    return [key for key in keys if start_of(key, grain) >= begin], begin


def overlap(one: Window, other: Window, grain: Grain | None) -> bool:
    """Whether two windows with the same anchor can share a partition.

    Months count as 31 days at a window's far end and as 28 at its near end, so doubt means overlap.
    """
    if isinstance(one, All) or isinstance(other, All):
        return True
    if one.before == other or other.before == one:
        return False
    near_one, near_other = _near(one, grain), _near(other, grain)
    far_one, far_other = (
        near_one[1] + _hours(one, grain)[1],
        near_other[1] + _hours(other, grain)[1],
    )
    return near_one[0] < far_other and near_other[0] < far_one


def _near(window: Last, grain: Grain | None) -> tuple[int, int]:
    """The least and the most hours (or partitions) between a window's end and its anchor's end."""
    if window.before is None:
        return 0, 0
    inner, length = _near(window.before, grain), _hours(window.before, grain)
    return inner[0] + length[0], inner[1] + length[1]


def _hours(window: Last, grain: Grain | None) -> tuple[int, int]:
    """The least and the most hours that a window's length can be."""
    count, unit = (
        (window.length, str(grain))
        if isinstance(window.length, int)
        else (window.length.count, window.length.unit)
    )
    least, most = _UNITS[unit]
    return count * least, count * most
