"""Histograms with asinh-spaced bins: mergeable, and fine enough to compare distributions.

With fixed quantile bins, the Wasserstein distance is wrong by tens of per cent when a distribution moves out
of them. These bins cover all numbers, and are narrower the nearer they are to the centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tidemill.contracts.profiles.record import Grid, Histogram

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BINS_PER_UNIT = 50
# The bin of the greatest float; the infinities have the bins beyond it.
LAST = math.floor(BINS_PER_UNIT * math.asinh(np.finfo(np.float64).max))
INFINITE = LAST + 1
_IQR_TO_SD = 1.349
_GREATEST = float(np.finfo(np.float64).max)
# All lengths share this grid: each length up to 50 has its own bin.
LENGTHS = Grid(center=0.0, scale=1.0)


def grid_of(values: Floats) -> Grid | None:
    """Choose a grid for values like these; None if all are missing.

    The centre is the median. The scale is IQR / 1.349; if that is 0, the standard deviation; if that is 0
    too, a thousandth of the value.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Grid(center=0.0, scale=1.0) if np.isinf(values).any() else None
    half = finite.size // 2
    low, high = finite.size // 4, finite.size - 1 - finite.size // 4
    parted = np.partition(finite, [low, half, high])
    center = float(parted[half])
    with np.errstate(over="ignore", invalid="ignore"):
        for scale in (
            float(parted[high] - parted[low]) / _IQR_TO_SD,
            float(finite.std()),
            abs(center) / 1000,
        ):
            # Dividing by a smaller scale would overflow.
            if 1e-290 < scale < math.inf:
                return Grid(center=center, scale=scale)
    return Grid(center=center, scale=1.0)


def assign_bins(values: Floats, grid: Grid) -> Ints:
    """Return the bin of each value; values must not be NaN."""
    with np.errstate(over="ignore"):
        spread = (values - grid.center) / grid.scale
    bins = np.floor(BINS_PER_UNIT * np.arcsinh(np.clip(spread, -_GREATEST, _GREATEST)))
    # The least floats would be in the bin of -inf: they join the bin above it.
    bins = np.maximum(bins, -LAST)
    bins[values == math.inf] = INFINITE
    bins[values == -math.inf] = -INFINITE
    found: Ints = bins.astype(np.int64)
    return found


def histogram_of(values: Floats, grid: Grid) -> Histogram:
    """Count values, none of them NaN, in the bins of `grid`."""
    bins = assign_bins(values, grid)
    return sum_bins(grid, bins, np.ones(bins.size, dtype=np.int64))


def merge_histograms(parts: Sequence[Histogram]) -> Histogram:
    """Merge histograms on the grid of the first.

    A part with another grid is moved bin by bin. If a bin crosses an edge of the grid, its values go to the
    side of its middle, and `blur` grows by their number.
    """
    grid = parts[0].grid
    moved = [move_to_grid(part, grid) for part in parts]
    return sum_bins(
        grid,
        np.concatenate([bins_of(part) for part in moved]),
        np.concatenate([counts_of(part) for part in moved]),
        blur=sum(part.blur for part in moved),
    )


def move_to_grid(part: Histogram, grid: Grid) -> Histogram:
    """Move a histogram to another grid."""
    if part.grid == grid:
        return part
    low, high = edges_of(part)
    inner = np.isfinite(low)
    bins, counts = bins_of(part).copy(), counts_of(part)
    first = assign_bins(low[inner], grid)
    # The upper edge belongs to the next bin.
    last = assign_bins(np.nextafter(high[inner], -math.inf), grid)
    across = counts[inner][first != last]
    bins[inner] = assign_bins(low[inner] / 2 + high[inner] / 2, grid)
    return sum_bins(grid, bins, counts, blur=part.blur + int(across.max(initial=0)))


def bins_of(part: Histogram) -> Ints:
    return _unpacked("i", part.size, part.bins)


def counts_of(part: Histogram) -> Ints:
    return _unpacked("u", part.size, part.counts)


def edges_of(part: Histogram) -> tuple[Floats, Floats]:
    """Return the lower and upper edges of the bins; those of the infinities are infinite."""
    bins = bins_of(part)
    low, high = _edges(bins, part.grid), _edges(bins + 1, part.grid)
    low[bins == -LAST] = -_GREATEST
    for sign in (-1, 1):
        low[bins == sign * INFINITE] = high[bins == sign * INFINITE] = sign * math.inf
    return low, high


def quantile(part: Histogram, share: float) -> float | None:
    """Return a quantile to within its bin; None without values."""
    counts = counts_of(part)
    if not counts.size:
        return None
    low, high = edges_of(part)
    below = np.cumsum(counts)
    at = min(int(np.searchsorted(below, share * below[-1])), below.size - 1)
    return float(low[at] / 2 + high[at] / 2)


def _edges(bins: Ints, grid: Grid) -> Floats:
    with np.errstate(over="ignore"):
        edges = grid.center + grid.scale * np.sinh(bins / BINS_PER_UNIT)
    return np.asarray(np.clip(edges, -_GREATEST, _GREATEST))


def sum_bins(grid: Grid, bins: Ints, counts: Ints, *, blur: int = 0) -> Histogram:
    """Build a histogram from bins, in any order and possibly repeated, and their counts."""
    held, where = np.unique(bins, return_inverse=True)
    sums = np.zeros(held.size, dtype=np.int64)
    np.add.at(sums, where, counts)
    return pack_histogram(grid, held, sums, blur=blur)


def pack_histogram(grid: Grid, bins: Ints, counts: Ints, *, blur: int = 0) -> Histogram:
    """Encode a histogram from bins in ascending order and their counts, as narrowly as possible."""
    size = bins.size
    if not size:
        return Histogram(grid=grid, size=0, bins=b"", counts=b"", blur=blur)
    far = max(-int(bins[0]), int(bins[-1]))
    width = "<i2" if far < 1 << 15 else "<i4"
    most = int(counts.max())
    kind = next(f"<u{n}" for n in (1, 2, 4, 8) if most < 1 << 8 * n)
    return Histogram(
        grid=grid,
        size=size,
        bins=bins.astype(width).tobytes(),
        counts=counts.astype(kind).tobytes(),
        blur=blur,
    )


def _unpacked(kind: str, size: int, held: bytes) -> Ints:
    if not size:
        return np.empty(0, np.int64)
    return np.frombuffer(held, f"<{kind}{len(held) // size}").astype(np.int64)
