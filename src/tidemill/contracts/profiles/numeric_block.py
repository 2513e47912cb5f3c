"""Compute statistics of a block of numeric columns in one pass, a few rows at a time.

For partitions of some hundred rows, the overhead of NumPy calls dominates. So the columns form a matrix, and
each step processes all of them at once. Steps for special cases (missing values, infinities, integers beyond
2**53) run only if a column needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.contracts.profiles.distinct_count import EXACT, REGISTERS
from tidemill.contracts.profiles.distinct_sketch import (
    Hashes,
    Registers,
    distinct_hashes,
    encode_sketch,
    hash_bits,
    raise_registers,
)
from tidemill.contracts.profiles.histogram import (
    BINS_PER_UNIT,
    INFINITE,
    LAST,
    Floats,
    Ints,
    grid_of,
    pack_histogram,
    sum_bins,
)
from tidemill.contracts.profiles.record import Grid, Histogram
from tidemill.core.lazy_dataclass import dataclass

# Rows per step, so that they stay in the cache between two steps.
BLOCK = 1 << 13
EXACT_FLOATS = 2.0**53
# Cells per block.
CELLS = 1 << 17
# Counting by position beats sorting up to this many places per value.
_SPARSE = 16


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers as floats, with NaN for missing ones; beyond 2**53 also as integers."""

    floats: npt.NDArray[Any]
    integers: npt.NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStatistics:
    """The statistics of one column; see `ColumnProfile`."""

    missing: int
    least: float
    most: float
    finite: int
    mean: float
    m2: float
    sketch: bytes
    histogram: Histogram | None


@dataclass(slots=True)
class _Totals:
    """The running statistics, one row per column."""

    rows: int
    registers: Registers = field(init=False)
    finite: Floats = field(init=False)
    mean: Floats = field(init=False)
    m2: Floats = field(init=False)
    missing: Ints = field(init=False)
    least: Floats = field(init=False)
    most: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.registers = np.zeros((self.rows, REGISTERS), np.uint8)
        self.finite, self.mean, self.m2 = np.zeros((3, self.rows))
        self.missing = np.zeros(self.rows, np.int64)
        self.least, self.most = np.full((2, self.rows), np.nan)


def column_statistics(
    columns: Sequence[Numbers], grids: Sequence[Grid | None]
) -> list[ColumnStatistics]:
    """Compute the statistics of columns, each on its grid or, if that is None, on one for its values.

    The columns may be of different frames.
    """
    used = [grid or grid_of(column.floats) for column, grid in zip(columns, grids, strict=True)]
    found: dict[int, ColumnStatistics] = {}
    with np.errstate(all="ignore"):
        for group in _groups([len(column.floats) for column in columns]):
            block = _Block([columns[n] for n in group], [used[n] for n in group])
            block.process()
            found.update(zip(group, block.statistics(), strict=True))
    return [found[n] for n in range(len(columns))]


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group columns of the same length into blocks that fit in the cache; yield their positions.

    Padding shorter columns would change the order of summation, and so their last digits.
    """
    by_length: dict[int, list[int]] = {}
    for n, length in enumerate(lengths):
        by_length.setdefault(length, []).append(n)
    for length, alike in by_length.items():
        many = max(1, CELLS // max(1, min(length, BLOCK)))
        yield from (alike[start : start + many] for start in range(0, len(alike), many))


class _Block:
    """Columns of the same length as rows of a matrix."""

    def __init__(self, columns: Sequence[Numbers], grids: Sequence[Grid | None]) -> None:
        self._columns = columns
        self._grids = grids
        self._length = len(columns[0].floats)
        self._center = np.array([[grid.center if grid else 0.0] for grid in grids])
        self._scale = np.array([[grid.scale if grid else 1.0] for grid in grids])
        self._totals = _Totals(len(columns))
        self._counted: list[list[tuple[Ints, Ints]]] = [[] for _ in columns]
        self._few: list[list[Hashes] | None] = [[] for _ in columns]
        self._wide = [n for n, column in enumerate(columns) if column.integers is not None]

    def process(self) -> None:
        """Process all rows."""
        for start in range(0, self._length, BLOCK):
            self._process_rows(start)

    def _process_rows(self, start: int) -> None:
        stop = min(start + BLOCK, self._length)
        values = np.empty((len(self._columns), stop - start))
        for row, column in zip(values, self._columns, strict=True):
            row[:] = column.floats[start:stop]
        # -0.0 and 0.0 are the same value.
        values += 0.0
        missing = finite = None
        sums = values.sum(axis=1)
        if not np.isfinite(sums).all():
            missing, finite = np.isnan(values), np.isfinite(values)
        self._add_extremes(values, missing)
        self._add_moments(values, sums, finite)
        self._add_histograms(self._bins(values, finite, start, stop), values.size)
        self._add_hashes(values, missing, start, stop)

    def _add_extremes(self, values: Floats, missing: npt.NDArray[np.bool_] | None) -> None:
        totals = self._totals
        totals.least = np.fmin(totals.least, np.fmin.reduce(values, axis=1))
        totals.most = np.fmax(totals.most, np.fmax.reduce(values, axis=1))
        if missing is not None:
            totals.missing += np.count_nonzero(missing, axis=1)

    def _add_moments(
        self, values: Floats, sums: Floats, finite: npt.NDArray[np.bool_] | None
    ) -> None:
        """Add mean and squared deviations of the finite values (Chan's formula)."""
        totals = self._totals
        count = np.full(len(values), float(values.shape[1]))
        if finite is not None:
            count = np.count_nonzero(finite, axis=1).astype(np.float64)
            sums = np.where(finite, values, 0.0).sum(axis=1)
        mean = sums / np.maximum(count, 1)
        deviations = values - mean[:, None]
        if finite is not None:
            deviations[~finite] = 0.0
        m2 = np.einsum("ij,ij->i", deviations, deviations)
        both = np.maximum(totals.finite + count, 1)
        step = mean - totals.mean
        totals.m2 += m2 + step * step * (totals.finite * count / both)
        totals.mean += step * (count / both)
        totals.finite += count

    def _bins(
        self, values: Floats, finite: npt.NDArray[np.bool_] | None, start: int, stop: int
    ) -> Floats:
        """Return the bin of each value as a float; NaN for missing values."""
        bins: Floats = values - self._center
        for row in self._wide:
            integers = self._columns[row].integers
            assert integers is not None
            center = float(self._center[row, 0])
            bins[row] = _offsets(integers[start:stop], values[row], center)
        bins /= self._scale
        if not np.isfinite(bins.sum(axis=1)).all():
            # Finite values that overflow go to the last bin; infinities have their own bins.
            inner = np.isfinite(values) if finite is None else finite
            over = inner & np.isinf(bins)
            bins = np.arcsinh(bins)
            bins *= BINS_PER_UNIT
            bins[over] = np.copysign(LAST, bins[over])
            np.clip(bins, -INFINITE, INFINITE, out=bins)
            np.floor(bins, out=bins)
            bins[inner] = np.maximum(bins[inner], -LAST)
        else:
            np.arcsinh(bins, out=bins)
            bins *= BINS_PER_UNIT
            np.floor(bins, out=bins)
            np.maximum(bins, -LAST, out=bins)
        return bins

    def _add_histograms(self, bins: Floats, size: int) -> None:
        first, last = np.fmin.reduce(bins, axis=1), np.fmax.reduce(bins, axis=1)
        empty = np.isnan(first)
        first[empty] = last[empty] = 0.0
        # Each column has a range of places, the first of which is for missing values.
        ends = np.cumsum(last - first + 2)
        starts = ends - (last - first + 2)
        bins += (1 - first)[:, None]
        np.fmax(bins, 0.0, out=bins)
        bins += starts[:, None]
        places = bins.ravel().astype(np.intp)
        if ends[-1] > _SPARSE * (size + BLOCK):
            held, counts = np.unique(places, return_counts=True)
        else:
            whole = np.bincount(places)
            held = np.flatnonzero(whole)
            counts = whole[held]
        bounds = np.searchsorted(held, np.stack([starts + 1, ends], axis=1)).tolist()
        offsets = (first - starts - 1).astype(np.int64).tolist()
        for row, (low, high), offset in zip(self._counted, bounds, offsets, strict=True):
            row.append((held[low:high] + offset, counts[low:high]))

    def _add_hashes(
        self, values: Floats, missing: npt.NDArray[np.bool_] | None, start: int, stop: int
    ) -> None:
        bits = values.view(np.uint64)
        for row in self._wide:
            integers = self._columns[row].integers
            assert integers is not None
            here = integers[start:stop].view(np.uint64)
            large = np.abs(values[row]) >= EXACT_FLOATS
            bits[row, large] = ~here[large]
        hashes = hash_bits(bits)
        registers = self._totals.registers
        raise_registers(registers, hashes, missing)
        filled = np.count_nonzero(registers, axis=1).tolist()
        for row, few in enumerate(self._few):
            if few is None or filled[row] > EXACT:
                self._few[row] = None
                continue
            present = hashes[row] if missing is None else hashes[row][~missing[row]]
            few.append(distinct_hashes(present))

    def statistics(self) -> list[ColumnStatistics]:
        """Return the statistics of each column."""
        return list(self._column_spreads())

    def _column_spreads(self) -> Iterator[ColumnStatistics]:
        totals = self._totals
        figures = zip(
            totals.missing.tolist(),
            totals.least.tolist(),
            totals.most.tolist(),
            totals.finite.tolist(),
            totals.mean.tolist(),
            totals.m2.tolist(),
            strict=True,
        )
        for row, (missing, least, most, finite, mean, m2) in enumerate(figures):
            grid = self._grids[row]
            few = self._few[row]
            yield ColumnStatistics(
                missing=missing,
                least=least,
                most=most,
                finite=int(finite),
                mean=mean,
                m2=m2,
                sketch=encode_sketch(totals.registers[row], _joined(few)),
                histogram=None if grid is None else _histogram(grid, self._counted[row]),
            )


def _offsets(integers: npt.NDArray[Any], values: Floats, center: float) -> Floats:
    """Return the offsets of integers from the centre: exact if it is an integer less than 2**62 away."""
    if center != int(center):
        return values - center
    whole = integers.view(np.uint64) - np.uint64(int(center) % 2**64)
    offsets = values - center
    near = np.abs(offsets) < 2.0**62
    offsets[near] = whole.view(np.int64)[near]
    return offsets


def _joined(few: list[Hashes] | None) -> Hashes:
    if not few:
        return np.empty(0, np.uint32)
    return few[0] if len(few) == 1 else np.concatenate(few)


def _histogram(grid: Grid, counted: Sequence[tuple[Ints, Ints]]) -> Histogram:
    if len(counted) == 1:
        return pack_histogram(grid, *counted[0])
    bins = np.concatenate([np.empty(0, np.int64), *(bins for bins, _ in counted)])
    counts = np.concatenate([np.empty(0, np.int64), *(counts for _, counts in counted)])
    return sum_bins(grid, bins, counts)
