"""Compute the evidence that a column of each partition differs from the partitions before it.

A column of numbers or times is watched by the shares below 9 reference deciles and the share of missing
values; a column of categories by the shares of the 10 most frequent ones, of all others, of values that the
reference doesn't have, and of nulls; texts by their lengths too; lists and binaries by their lengths.
A share that differs much between the partitions of the reference, such as on weekends, is weaker evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidemill.contracts.profiles.e_detector import EFFECTS, Floats, Shares, share_evidence
from tidemill.contracts.profiles.histogram import Ints, bins_of, counts_of, move_to_grid
from tidemill.contracts.profiles.record import ColumnProfile, Histogram
from tidemill.core.lazy_dataclass import dataclass

Kind: TypeAlias = Literal["numbers", "categories", "texts", "lengths"]

DECILES = np.arange(1, 10) / 10
TOP = 10
# One in so many partitions of a reference is taken for an outlier that tells nothing about the others.
_OUTLIERS = 15
_KINDS: dict[str, Kind] = {
    "Boolean": "categories",
    "Enum": "categories",
    "Categorical": "categories",
    "String": "texts",
    "Binary": "lengths",
    "List": "lengths",
    "Array": "lengths",
}
# The shares that each kind has: deciles, categories (top, others, new), and missing values.
_SHARES: dict[Kind, int] = {
    "numbers": DECILES.size + 1,
    "categories": TOP + 3,
    "texts": DECILES.size + TOP + 3,
    "lengths": DECILES.size + 1,
}


def kind_of(dtype: str) -> Kind:
    """Return how a column of this type is watched."""
    return _KINDS.get(dtype.split("(", 1)[0], "numbers")


def series_of(kind: Kind) -> int:
    """Return the number of series of e-values of a column."""
    return _SHARES[kind] * 2 * len(EFFECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The partitions to judge, and the reference of each: the partitions from `first` up to `at`.

    These are positions in a list of profiles. A reference with rows in fewer than `needed` partitions is
    too short.
    """

    at: Ints
    first: Ints
    needed: int

    def sums(self, parts: Floats) -> Floats:
        """Sum a figure of each partition over each reference; `parts` has a row per partition."""
        before = np.zeros((len(parts) + 1, *parts.shape[1:]))
        np.cumsum(parts, axis=0, out=before[1:])
        return before[self.at] - before[self.first]

    def of(self, parts: Floats, columns: Ints) -> Floats:
        """Return the figures of each partition of each reference, by judged partition, partition, column.

        `parts` has a row per partition, and `columns` which of its columns are meant, for each judged
        partition. Shorter references are filled up with 0.
        """
        longest = int((self.at - self.first).max(initial=0))
        at = self.first[:, None] + np.arange(longest)
        inside = at < self.at[:, None]
        found = parts[np.where(inside, at, 0)[:, :, None], columns[:, None, :]]
        return np.where(inside[:, :, None], found, 0)

    def variance(self, counts: Floats, rows: Floats, reference: Floats) -> Floats:
        """Estimate the variance of shares between the partitions of each reference, without sampling's.

        `counts` are those of `of`, `rows` the rows of each partition, `reference` the shares on the whole.
        """
        known = self.of(rows[:, None], np.zeros((self.at.size, 1), np.int64))
        shares = counts / np.maximum(known, 1)
        order = np.argsort(np.abs(shares - reference[:, None, :]) * (known > 0), axis=1)
        shares = np.take_along_axis(shares, order, axis=1)
        # Rounds up the number of outliers, so that a short reference has one too.
        usual = counts.shape[1] + (self.first - self.at)[:, None] // _OUTLIERS
        known = np.take_along_axis(np.broadcast_to(known, counts.shape), order, axis=1)
        known = known * (np.arange(counts.shape[1]) < usual)[:, :, None]
        total = np.maximum(known.sum(axis=1), 1)
        mean = (known * shares).sum(axis=1) / total
        squares = (known * (shares - mean[:, None, :]) ** 2).sum(axis=1)
        sampling = mean * (1 - mean) * (known > 0).sum(axis=1)
        found: Floats = np.maximum(squares - sampling, 0) / total
        return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Some shares of each judged partition, and how far off those of the reference may be."""

    shares: Shares
    blur: Floats


def column_evidence(
    columns: Sequence[ColumnProfile | None], kind: Kind, windows: Windows, tolerance: float
) -> Floats:
    """Return the logs of the e-values of each judged partition, a row each; NaN where there are none.

    `columns` has the column of each partition, None where it doesn't exist or has another type.
    """
    rows = np.array([column.rows if column else 0 for column in columns], np.float64)
    missing = np.array([column.missing_count if column else 0 for column in columns], np.float64)
    parts = [_missing_shares(rows, missing, windows)]
    if kind in ("categories", "texts"):
        parts.append(_category_shares(columns, windows))
    if kind != "categories":
        held = [_distribution(column, kind) for column in columns]
        parts.append(_decile_shares(held, rows - missing, windows))
    found = np.concatenate(
        [
            share_evidence(part.shares, tolerance=tolerance + part.blur).reshape(
                windows.at.size, -1
            )
            for part in parts
        ],
        axis=1,
    )
    long_enough = windows.sums((rows > 0).astype(np.float64)) >= windows.needed
    return np.where(long_enough[:, None], found, np.nan)


def _missing_shares(rows: Floats, missing: Floats, windows: Windows) -> _Part:
    total = np.maximum(windows.sums(rows), 1)[:, None]
    shares = Shares(
        count=missing[windows.at][:, None],
        rows=rows[windows.at][:, None],
        reference=windows.sums(missing)[:, None] / total,
        reference_rows=total,
    )
    held = windows.of(missing[:, None], np.zeros((windows.at.size, 1), np.int64))
    return _Part(_tempered(shares, held, rows, windows), np.zeros((windows.at.size, 1)))


def _tempered(shares: Shares, counts: Floats, rows: Floats, windows: Windows) -> Shares:
    """Count each partition for fewer rows, as far as those of its reference differ."""
    variance = windows.variance(counts, rows, np.asarray(shares.reference))
    return shares.tempered(variance, windows.sums((rows > 0).astype(np.float64))[:, None])


def _distribution(column: ColumnProfile | None, kind: Kind) -> Histogram | None:
    if column is None:
        return None
    return column.histogram if kind == "numbers" else column.lengths


def _decile_shares(held: Sequence[Histogram | None], present: Floats, windows: Windows) -> _Part:
    """Return the shares below the bin edges that are nearest to the deciles of each reference."""
    grids = [histogram.grid for histogram in held if histogram is not None]
    moved = [part if part is None else move_to_grid(part, grids[0]) for part in held]
    below = _cumulative_counts(moved)
    blur = np.array([0 if part is None else part.blur for part in moved], np.float64)
    totals = windows.sums(present)
    known = windows.sums(below) / np.maximum(totals, 1)[:, None]
    # The edge before or after the bin that holds the decile, whichever share is nearer.
    after = np.stack([(known < decile).sum(axis=1) for decile in DECILES], axis=1)
    after = np.minimum(after, known.shape[1] - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(_at(known, before) - DECILES) < np.abs(_at(known, after) - DECILES)
    cuts = np.where(nearer, before, after)
    count, off = _at(below[windows.at], cuts), blur[windows.at][:, None]
    least = np.maximum(count - off, 0)
    rows = present[windows.at][:, None]
    shares = Shares(
        count=least,
        rows=np.where(totals[:, None] > 0, rows, 0),
        reference=_at(known, cuts),
        reference_rows=np.maximum(totals, 1)[:, None],
        uncertain=np.minimum(count + off, rows) - least,
    )
    tempered = _tempered(shares, windows.of(below, cuts), present, windows)
    return _Part(tempered, (windows.sums(blur) / np.maximum(totals, 1))[:, None])


def _cumulative_counts(held: Sequence[Histogram | None]) -> Floats:
    """Return the number of values below the edge before each bin, and last below all, per partition."""
    bins = [np.empty(0, np.int64) if part is None else bins_of(part) for part in held]
    union = np.unique(np.concatenate([np.empty(0, np.int64), *bins]))
    below = np.zeros((len(held), union.size + 1))
    for row, part, own in zip(below, held, bins, strict=True):
        if part is not None:
            row[np.searchsorted(union, own) + 1] = counts_of(part)
    return np.cumsum(below, axis=1, out=below)


def _at(values: Floats, places: npt.NDArray[np.intp]) -> Floats:
    found: Floats = np.take_along_axis(values, places, axis=1)
    return found


def _category_shares(columns: Sequence[ColumnProfile | None], windows: Windows) -> _Part:
    """Return the shares of the most frequent categories of each reference, of others, and of new ones."""
    counts, present, missed = _category_counts(columns)
    totals = np.maximum(windows.sums(present), 1)
    known, unknown = windows.sums(counts), windows.sums(missed)
    # A stable sort, so that equally frequent categories have an order of their own.
    top = np.argsort(-known, axis=1, kind="stable")[:, :TOP]
    rows, own, own_missed = present[windows.at], counts[windows.at], missed[windows.at]
    in_reference = _at(known, top)
    listed = np.where(in_reference > 0, _at(own, top), 0)
    hidden = np.where((in_reference > 0) & (listed == 0), own_missed[:, None], 0)
    others = rows - listed.sum(axis=1)
    unlisted = rows - own.sum(axis=1)
    new = np.where(known > 0, 0, own).sum(axis=1)
    count = np.column_stack([listed, np.maximum(others - hidden.sum(axis=1), 0), new])
    most = np.column_stack([listed + hidden, others, new + unlisted])
    # A category that the reference has but doesn't list can't be told from a new one.
    possible = np.column_stack([in_reference > 0, np.ones(len(rows), bool), unknown == 0])
    judged = possible & (windows.sums(present) > 0)[:, None]
    reference = np.column_stack(
        [in_reference, totals - in_reference.sum(axis=1), np.zeros(len(rows))]
    )
    shares = Shares(
        count=count,
        rows=np.where(judged, rows[:, None], 0),
        reference=reference / totals[:, None],
        reference_rows=totals[:, None],
        uncertain=np.minimum(most, rows[:, None]) - count,
    )
    held = windows.of(counts, top)
    every = windows.of(present[:, None], np.zeros((len(rows), 1), np.int64))
    rest = every - held.sum(axis=2, keepdims=True)
    # New values are missing from the whole reference, so these can't differ between its partitions.
    held = np.concatenate([held, rest, np.zeros(rest.shape)], axis=2)
    return _Part(_tempered(shares, held, present, windows), (unknown / totals)[:, None])


def _category_counts(columns: Sequence[ColumnProfile | None]) -> tuple[Floats, Floats, Floats]:
    """Return per partition the counts of all listed categories, all values, and the missed counts."""
    held = [column.categories if column else None for column in columns]
    names = sorted({name for part in held if part is not None for name in part.counts})
    places = {name: at for at, name in enumerate(names)}
    counts = np.zeros((len(held), max(len(names), TOP)))
    present, missed = np.zeros(len(held)), np.zeros(len(held))
    for at, part in enumerate(held):
        if part is not None:
            for name, count in part.counts.items():
                counts[at, places[name]] = count
            present[at] = sum(part.counts.values()) + part.others
            missed[at] = part.missed
    return counts, present, missed
