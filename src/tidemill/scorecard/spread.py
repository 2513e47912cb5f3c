"""The middle and the slow end of durations, some of which aren't over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The p50 and p90 of `n` durations in seconds, by the nearest rank; None without any.

    Of those that aren't over, what passed so far counts. A figure that may still grow because of them
    is a lower bound: `p50_grows`, `p90_grows`.
    """

    n: int = 0
    p50: float | None = None
    p90: float | None = None
    p50_grows: bool = False
    p90_grows: bool = False


def spread(ended: Iterable[float], lasting: Iterable[float] = ()) -> Spread:
    """The spread of durations that are over and of those that last."""
    open_ = sorted(lasting)
    every = sorted([*ended, *open_])
    if not every:
        return Spread()
    p50, p90 = nearest_rank(every, 0.5), nearest_rank(every, 0.9)
    # One that lasts already longer than the figure doesn't move it any more.
    shortest = open_[0] if open_ else None
    return Spread(
        n=len(every),
        p50=p50,
        p90=p90,
        p50_grows=shortest is not None and shortest <= p50,
        p90_grows=shortest is not None and shortest <= p90,
    )


def nearest_rank(ordered: list[float], share: float) -> float:
    """The smallest of some sorted values that at least a share of them doesn't exceed."""
    return ordered[max(0, ceil(round(share * len(ordered), 9)) - 1)]


def nearest_rank_of_counts(counts: Mapping[float, int], share: float) -> float | None:
    """The same of values that are counted; None without any."""
    needed = ceil(round(share * sum(counts.values()), 9))
    reached = 0
    for value in sorted(counts):
        reached += counts[value]
        if counts[value] and reached >= needed:
            return value
    return None
