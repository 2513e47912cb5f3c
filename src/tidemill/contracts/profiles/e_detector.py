"""Detect a lasting change in a series of partitions, at any time and with few false alarms.

Each partition gives *e-values*: numbers >= 0 whose expectation, given all earlier partitions, is at most 1
while the data are within a tolerance. Each is a binomial likelihood ratio, for one share (such as the share
of values below a cut point), one side, and one effect size. Any number of rows gives one. Without rows,
and for a share that can't be beyond its tolerance, it is missing (NaN) and changes no sum.

The e-values E of a series are summed by Shiryaev and Roberts: M becomes (M + 1) * min(E, cap), from 0.
M - t is a supermartingale within the tolerance, and so is a weighted mean over many series. So an alarm when
that mean reaches `run_length` comes, in expectation, after at least `run_length` partitions, for any number
of series and however they depend on each other. The cap makes two partitions of evidence compulsory.
The guarantee needs rows that are drawn independently, given their partition, and a reference that is known
well: `share_evidence` widens the tolerance by the standard error of the reference. Partitions may differ by
more than their rows explain, such as weekends. `Shares.tempered` counts each for fewer rows then: the root
of an e-value is one too.

Source: Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import field
from itertools import repeat
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tidemill.core.lazy_dataclass import dataclass

Floats = npt.NDArray[np.float64]
Sides: TypeAlias = Literal["both", "rise"]

# The effect sizes, in tolerances beyond the tolerance.
EFFECTS = (0.5, 1.0, 2.0, 4.0)
# The widening for a reference that is a sample, in standard errors of its share.
REFERENCE_ERRORS = 1.0
_NEARLY_ALL = 0.9
# The least sampling variance of a tempered partition, as a part of the variance between partitions. A
# partition with a million rows is still one partition.
_SAMPLING_PART = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares to compare with a reference; the fields broadcast against each other.

    `count` of `rows` rows have a property, and up to `uncertain` more may have it. `reference` is the share
    that had it among the `reference_rows` rows of the reference.
    """

    count: npt.ArrayLike
    rows: npt.ArrayLike
    reference: npt.ArrayLike
    reference_rows: npt.ArrayLike = math.inf
    uncertain: npt.ArrayLike = 0

    def tempered(self, between: npt.ArrayLike, partitions: npt.ArrayLike) -> Shares:
        """Return the same shares of fewer rows, as far as the partitions of the reference differ.

        `between` is the variance of the share between `partitions` partitions, without that of sampling.
        """
        rows, known = np.asarray(self.rows, np.float64), np.asarray(self.reference_rows, np.float64)
        share = np.asarray(self.reference, np.float64)
        # In units of the variance of one row.
        differ = np.asarray(between) / np.maximum(share * (1 - share), 1e-12)
        part = 1 / np.maximum(1, _SAMPLING_PART * rows * differ)
        error = 1 / known + differ / np.maximum(partitions, 1)
        return Shares(
            count=np.asarray(self.count, np.float64) * part,
            rows=rows * part,
            reference=share,
            reference_rows=1 / np.maximum(error, 1e-300),
            uncertain=np.asarray(self.uncertain, np.float64) * part,
        )


def share_evidence(
    shares: Shares,
    *,
    tolerance: npt.ArrayLike,
    sides: Sides = "both",
    errors: float = REFERENCE_ERRORS,
) -> Floats:
    """Return the logs of the e-values against "the share is within `tolerance` of the reference".

    The result has one more dimension than the shares: rises by each effect size, then falls. The
    tolerance is widened by so many standard `errors` of the reference. With `sides="rise"`, a lower share
    is no evidence.
    """
    count, rows = np.asarray(shares.count, np.float64), np.asarray(shares.rows, np.float64)
    share, width = np.asarray(shares.reference, np.float64), np.asarray(tolerance, np.float64)
    error = _standard_error(share, shares.reference_rows)
    away = width + errors * error
    found = _rises(count, rows, share + away, width)
    if sides == "both":
        others = rows - count - np.asarray(shares.uncertain, np.float64)
        found += _rises(others, rows, 1 - share + away, width)
    return np.stack(np.broadcast_arrays(*found), axis=-1)


def _standard_error(share: Floats, rows: npt.ArrayLike) -> Floats:
    """Return the standard error of a share; of 0 and 1 too, as if two more rows had been seen."""
    total = np.asarray(rows, np.float64)
    share = (share + 1 / total) / (1 + 2 / total)
    found: Floats = np.sqrt(share * (1 - share) / (total + 2))
    return found


def _rises(count: Floats, rows: Floats, bound: Floats, tolerance: Floats) -> list[Floats]:
    """Return the logs of likelihood ratios of shares above `bound` to `bound` itself.

    Each is an e-value for every share up to the bound: its expectation grows with the share, to 1 there.
    """
    null = np.minimum(bound, 1.0)
    room = 1 - null
    # No share is above 1, so nothing is evidence against a bound of 1.
    possible = (room > 0) & (rows > 0)
    below, above = np.where(possible, null, 0.5), np.where(possible, room, 0.5)
    shifts = [np.minimum(effect * tolerance, _NEARLY_ALL * above) for effect in EFFECTS]
    return [
        np.where(
            possible,
            count * np.log1p(shift / below) + (rows - count) * np.log1p(-shift / above),
            np.nan,
        )
        for shift in shifts
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Sums evidence over partitions; its expected run length to a false alarm is at least `run_length`.

    `run_length` is in partitions: 365 daily ones are a year. `weights` has the weight of each series.
    """

    run_length: float
    weights: Floats = field(repr=False)

    @classmethod
    def even(cls, run_length: float, series: int) -> Detector:
        """Return a detector over some series with the same weight."""
        return cls(run_length=run_length, weights=np.full(series, 1 / series))

    def start(self) -> Floats:
        """Return the sums before the first partition, and after an alarm."""
        return np.zeros(self.weights.shape)

    def add(self, sums: Floats, evidence: Floats) -> Floats:
        """Return the sums after one more partition; `evidence` has the log of each series' e-value."""
        # With less than this, one partition is no alarm unless many series agree.
        cap = np.log(self.run_length / self.weights) / 2
        found = (sums + 1) * np.exp(np.minimum(evidence, cap))
        # Partitions without evidence don't count, or their mere number would raise an alarm.
        return np.where(np.isnan(evidence), sums, found)

    def level(self, sums: Floats) -> float:
        """Return the weighted sum as a share of the threshold: 1 or more is an alarm."""
        return float((sums * self.weights).sum() / self.run_length)

    def alarms(self, evidence: Iterable[Floats]) -> Iterator[int]:
        """Yield the position of each alarm in a series of partitions; the sums start again after it."""
        sums = self.start()
        for at, found in enumerate(evidence):
            sums = self.add(sums, found)
            if self.level(sums) >= 1:
                yield at
                sums = self.start()

    def delay(self, evidence: Floats, most: int = 1000) -> int | None:
        """Return how many partitions with this evidence raise an alarm; None for more than `most`."""
        return next((at + 1 for at in self.alarms(repeat(evidence, most))), None)
