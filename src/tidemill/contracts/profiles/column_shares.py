"""Bring two profiles of a column together for a small picture: its shares then and now."""

from __future__ import annotations

import math

import numpy as np

from tidemill.contracts.profiles.histogram import Floats, counts_of, edges_of, quantile
from tidemill.contracts.profiles.record import Categories, ColumnProfile, Histogram
from tidemill.core.lazy_dataclass import dataclass

BARS = 12
# The ends of the picture: beyond them, values are counted at its ends.
_TAIL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShares:
    """The shares of a column's values, then and now: of categories, or between `edges`.

    `edges` has one more item than the shares, and is empty for categories; `names` is empty for numbers.
    Values beyond the first and last edge count at the ends.
    """

    then: tuple[float, ...] = ()
    now: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


def column_shares(old: ColumnProfile, new: ColumnProfile) -> ColumnShares:
    """Return the shares of both sides' values; none if they have no distribution in common."""
    if old.categories is not None and new.categories is not None:
        found = _of_categories(old.categories, new.categories)
        if found.names:
            return found
    for one, other in ((old.histogram, new.histogram), (old.lengths, new.lengths)):
        if one is not None and other is not None and one.size and other.size:
            return _of_histograms(one, other)
    return ColumnShares()


def _of_categories(old: Categories, new: Categories) -> ColumnShares:
    """Return the shares of the categories with the largest ones, and of all others together."""
    sides = [(side.counts, sum(side.counts.values()) + side.others) for side in (old, new)]
    shares = [
        {name: count / total for name, count in counts.items()} for counts, total in sides if total
    ]
    largest = {name: max(side.get(name, 0) for side in shares) for side in shares for name in side}
    if not largest:
        return ColumnShares()
    names = sorted(largest, key=lambda name: (-largest[name], name))[: BARS - 1]
    then, now = ([counts.get(name, 0) / max(total, 1) for name in names] for counts, total in sides)
    rest = [
        max(0.0, 1 - sum(held)) if total else 0.0
        for held, (_, total) in zip((then, now), sides, strict=True)
    ]
    if max(rest) > 1e-9:
        names, then, now = [*names, "(others)"], [*then, rest[0]], [*now, rest[1]]
    return ColumnShares(then=tuple(then), now=tuple(now), names=tuple(names))


def _of_histograms(old: Histogram, new: Histogram) -> ColumnShares:
    """Return the shares of values in bars of the same width, counted at the middle of their bins."""
    ends = [quantile(side, share) for side in (old, new) for share in (_TAIL, 1 - _TAIL)]
    finite = [end for end in ends if end is not None and math.isfinite(end)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    edges = np.linspace(low, high, BARS + 1) if high > low else np.array([low, low])
    then, now = (_bar_shares(side, edges) for side in (old, new))
    return ColumnShares(then=then, now=now, edges=tuple(edges.tolist()))


def _bar_shares(side: Histogram, edges: Floats) -> tuple[float, ...]:
    low, high = edges_of(side)
    counts = counts_of(side)
    middle = np.clip(low / 2 + high / 2, edges[0], edges[-1])
    bars = edges.size - 1
    at = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, bars - 1)
    shares = np.bincount(at, weights=counts, minlength=bars) / counts.sum()
    return tuple(shares.tolist())
