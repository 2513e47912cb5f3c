"""Compute the distance between two profiled columns, exact up to the bins of their histograms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tidemill.contracts.profiles.histogram import Floats, counts_of, edges_of
from tidemill.contracts.profiles.record import Categories, ColumnProfile, Distance
from tidemill.core.lazy_dataclass import dataclass

_GROUPS = 10
# The share of a group that is empty on one side; with 0 the stability index would be infinite.
_LEAST_SHARE = 1e-4
_DENSE = 1_000


def distance(old: ColumnProfile, new: ColumnProfile) -> Distance:
    """Compare a column with an earlier profile; distances without values or a common type are None."""
    ks = error = moved = psi = None
    both = bool(old.present_count and new.present_count)
    if both and old.histogram is not None and new.histogram is not None:
        with np.errstate(over="ignore"):
            ks, error, moved, psi = _of_numbers(old, new)
    elif both and old.categories is not None and new.categories is not None:
        psi = _index(*_category_shares(old.categories, new.categories))
    return Distance(
        name=new.name,
        missing=_share(new) - _share(old),
        ks=ks,
        ks_error=error,
        wasserstein=moved,
        psi=psi,
    )


def _of_numbers(old: ColumnProfile, new: ColumnProfile) -> tuple[float, float, float, float]:
    one, other = _shares(old), _shares(new)
    points = _points(one, other)
    ks, (least, most) = _ks(one, other, points), _ks_bounds(one, other)
    if _is_dense(old) and _is_dense(new):
        # The maximum may lie where the values of one begin or end inside a bin.
        one, other = _clipped(one, old), _clipped(other, new)
        ks = max(ks, _ks(one, other, np.concatenate([one.ends, other.ends])))
    psi = _index(*_groups(one, other, points))
    return ks, max(most - ks, ks - least), _wasserstein(one, other), psi


def _is_dense(column: ColumnProfile) -> bool:
    """Whether a column has so many distinct values that hardly any bin holds just one."""
    return not column.is_exact and (column.distinct or 0) > _DENSE


def _share(column: ColumnProfile) -> float:
    return column.missing_count / column.rows if column.rows else 0.0


@dataclass(frozen=True, slots=True)
class _Shares:
    """The shares of the finite values by bin, and the shares of -inf (`below`) and inf (`above`).

    `blur` is the share that may be on the wrong side of an edge.
    """

    low: Floats
    high: Floats
    shares: Floats
    below: float
    above: float
    blur: float

    @property
    def ends(self) -> Floats:
        return np.concatenate([self.low[:1], self.high[-1:]])

    def surely(self, points: Floats) -> Floats:
        """Return the share in bins that end at or before each point: a lower bound."""
        sums = np.concatenate([[0.0], np.cumsum(self.shares)])
        return self.below + sums[np.searchsorted(self.high, points, side="right")]

    def maybe(self, points: Floats) -> Floats:
        """Return the share in bins that begin before each point: an upper bound."""
        sums = np.concatenate([[0.0], np.cumsum(self.shares)])
        return self.below + sums[np.searchsorted(self.low, points, side="left")]

    def share_below(self, points: Floats) -> Floats:
        """Return the share below each point, interpolated within bins."""
        surely, maybe = self.surely(points), self.maybe(points)
        if not self.shares.size:
            return surely
        at = np.clip(np.searchsorted(self.high, points, side="right"), 0, self.high.size - 1)
        width = self.high[at] / 2 - self.low[at] / 2
        part = np.where(
            width > 0, (points / 2 - self.low[at] / 2) / np.where(width > 0, width, 1), 0
        )
        evenly: Floats = surely + (maybe - surely) * np.clip(part, 0, 1)
        return evenly


def _shares(column: ColumnProfile) -> _Shares:
    assert column.histogram is not None
    low, high = edges_of(column.histogram)
    shares = counts_of(column.histogram) / column.present_count
    inner = np.isfinite(low)
    return _Shares(
        low[inner],
        high[inner],
        shares[inner],
        float(shares[low == -math.inf].sum()),
        float(shares[low == math.inf].sum()),
        column.histogram.blur / column.present_count,
    )


def _clipped(shares: _Shares, column: ColumnProfile) -> _Shares:
    """Clip the first bin to the minimum and the last bin to the maximum."""
    low, high = shares.low.copy(), shares.high.copy()
    assert column.least is not None
    assert column.most is not None
    least, most = float(column.least), float(column.most)
    # Bins from another grid may lie beyond.
    low[0] = min(max(low[0], least), high[0])
    high[-1] = max(min(high[-1], most), low[-1])
    return replace(shares, low=low, high=high)


def _points(one: _Shares, other: _Shares) -> Floats:
    points = np.unique(np.concatenate([one.low, one.high, other.low, other.high]))
    return points if points.size else np.zeros(1)


def _ks_bounds(one: _Shares, other: _Shares) -> tuple[float, float]:
    """Return a lower and an upper bound of the KS statistic of the values."""
    points = _points(one, other)
    surely = [side.surely(points) for side in (one, other)]
    maybe = [side.maybe(points) for side in (one, other)]
    # Between two points a share lies between its lower bound at the first and its upper bound at the next.
    most = max(
        float((maybe[0][1:] - surely[1][:-1]).max(initial=0)),
        float((maybe[1][1:] - surely[0][:-1]).max(initial=0)),
        abs(one.below - other.below),
        abs(one.above - other.above),
    )
    least = max(
        float((surely[0] - maybe[1]).max(initial=0)), float((surely[1] - maybe[0]).max(initial=0))
    )
    blur = one.blur + other.blur
    return least - blur, most + blur


def _ks(one: _Shares, other: _Shares, points: Floats) -> float:
    return float(np.abs(one.share_below(points) - other.share_below(points)).max(initial=0))


def _wasserstein(one: _Shares, other: _Shares) -> float:
    """Return the area between the distributions; infinite if their shares of infinities differ."""
    if (one.below, one.above) != (other.below, other.above):
        return math.inf
    points = _points(one, other)
    gap = one.share_below(points) - other.share_below(points)
    start, end = gap[:-1], gap[1:]
    size = np.abs(start) + np.abs(end)
    # A segment in which they cross consists of two triangles.
    crossed = start * end < 0
    height = np.where(crossed, (start**2 + end**2) / (2 * np.where(size > 0, size, 1)), size / 2)
    with np.errstate(over="ignore"):
        return float((height * np.diff(points)).sum())


def _groups(one: _Shares, other: _Shares, points: Floats) -> tuple[Floats, Floats]:
    """Return the shares of both between the deciles of the first."""
    below = one.share_below(points)
    wanted = np.arange(1, _GROUPS) / _GROUPS
    cuts = np.unique(points[np.minimum(np.searchsorted(below, wanted), points.size - 1)])
    sides = [np.concatenate([[0.0], side.share_below(cuts), [1.0]]) for side in (one, other)]
    return np.diff(sides[0]), np.diff(sides[1])


def _category_shares(old: Categories, new: Categories) -> tuple[Floats, Floats]:
    """Return the shares of the categories with known counts on both sides, and of the rest together."""
    known = [
        name
        for name in dict.fromkeys((*old.counts, *new.counts))
        if all(name in side.counts or not side.missed for side in (old, new))
    ]
    sides = []
    for side in (old, new):
        total = sum(side.counts.values()) + side.others
        shares = np.array([side.counts.get(name, 0) / total for name in known])
        sides.append(np.append(shares, 1 - shares.sum()))
    return sides[0], sides[1]


def _index(old: Floats, new: Floats) -> float:
    """Return the population stability index of two lists of shares."""
    either = np.maximum(old, new) > 0
    one, other = (np.maximum(side[either], _LEAST_SHARE) for side in (old, new))
    return float(((other - one) * np.log(other / one)).sum())
