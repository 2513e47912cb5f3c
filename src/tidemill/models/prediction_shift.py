"""Detect that the predictions that a live model delivers or serves lastingly differ from its approval's.

The same e-detector as for drift: the shares of predictions below the reference's deciles, or of each
predicted class, may move by a tolerance; evidence beyond it is summed over the days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tidemill.contracts.profiles.e_detector import (
    EFFECTS,
    Detector,
    Floats,
    Shares,
    share_evidence,
)
from tidemill.contracts.profiles.histogram import (
    Ints,
    bins_of,
    counts_of,
    merge_histograms,
    move_to_grid,
)
from tidemill.contracts.profiles.record import ColumnProfile, Histogram
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import time_bounds
from tidemill.ledger.delivery import Delivery
from tidemill.models.triggers import Observation
from tidemill.workflow.trigger import PredictionShift

MODEL, PREDICTION = "model", "prediction"
# Days of reference if none of the approval's window was delivered.
FIRST_DAYS = 7
# Fewer rows say too little about shares.
LEAST_ROWS = 100
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPartition:
    """A delivered or logged day: the models that scored its rows, and the profile of their predictions."""

    day: str
    models: frozenset[str]
    column: ColumnProfile


def observe_prediction_shift(
    trigger: PredictionShift,
    live: Delivery,
    predicted: Sequence[PredictedPartition],
    since: str,
    a_year: int,
) -> Observation:
    """Sum the evidence that predictions differ from those at approval, over the days after `since`.

    For a table, the reference are the days that the model was approved on, for a log what its evaluation
    predicted; if another model delivered those days, or nothing was recorded, the first seven days that it
    predicted. Days that it was trained on don't count.
    """
    reference, later = _split(trigger, live, predicted)
    rows, verb = sum(column.present_count for column in reference), _verb(trigger)
    if rows < LEAST_ROWS:
        return Observation(
            seen=f"the live model {verb} {plural(rows, 'prediction')} to compare with",
            note=f"it needs {LEAST_ROWS}",
        )
    days = [part for part in later if part.day > since and part.column.present_count]
    if not days:
        return Observation(
            seen=f"no predictions were {verb} since those of the approval",
            threshold=_threshold(trigger, a_year),
            evidence=0.0,
            limit=float(a_year),
        )
    known = _Reference.of(reference)
    detector = Detector.even(a_year, known.shares.size * len(EFFECTS) * 2)
    sums, alarm = detector.start(), ""
    for part in days:
        sums = detector.add(sums, known.evidence(part.column, trigger.tolerance))
        if detector.level(sums) >= 1:
            alarm = part.day
            break
    return Observation(
        seen=_seen(reference, days, alarm),
        threshold=_threshold(trigger, a_year),
        evidence=detector.level(sums) * a_year,
        limit=float(a_year),
    )


def trained_until(live: Delivery) -> str:
    """The newest day that a live model was trained on; "" if it read nothing by time."""
    keys = (key for found in live.artifact.trained_on.values() for key in found)
    return max(filter(is_time, keys), default="")


def evaluated_predictions(live: Delivery) -> ColumnProfile | None:
    """What a live model predicted in the first evaluation that recorded it."""
    scores = (live.scores, *live.evaluations.values())
    found = next((each.predictions for each in scores if each.predictions is not None), None)
    if found is None:
        return None
    return ColumnProfile(
        name=PREDICTION,
        dtype="",
        rows=found.rows,
        nulls=0,
        finite=found.rows,
        mean=found.mean,
        histogram=found.histogram,
        categories=found.categories,
    )


def is_time(key: str) -> bool:
    """Whether the key of a partition is an hour, day, week or month, rather than a value or a whole."""
    try:
        time_bounds(key)
    except UsageError:
        return False
    return True


def _split(
    trigger: PredictionShift, live: Delivery, predicted: Sequence[PredictedPartition]
) -> tuple[list[ColumnProfile], list[PredictedPartition]]:
    """Split what the live model predicted after its training into the reference and what came later."""
    trained = trained_until(live)
    own = [
        part
        for part in sorted(predicted, key=lambda part: part.day)
        if part.models == {live.artifact.id} and part.day > trained
    ]
    evaluated = evaluated_predictions(live) if trigger.of else None
    if evaluated is not None:
        return [evaluated], own
    approved = [part for part in own if part.day <= live.through]
    at = len(approved) if approved else FIRST_DAYS
    return [part.column for part in own[:at]], own[at:]


def _verb(trigger: PredictionShift) -> str:
    return "served" if trigger.of else "delivered"


def _threshold(trigger: PredictionShift, a_year: int) -> str:
    return f"{a_year:g} (shares may move by {trigger.tolerance:g})"


def _seen(known: Sequence[ColumnProfile], days: Sequence[PredictedPartition], alarm: str) -> str:
    count = plural(len(days), "day")
    histograms = [column.histogram is not None for column in known]
    if all(histograms):
        then, now = _mean(known), _mean([part.column for part in days])
        seen = f"the mean prediction is {now:.4g} over {count}, {then:.4g} at approval"
    else:
        seen = f"predicted classes of {count}"
    return f"{seen}; alarm on {alarm}" if alarm else seen


def _mean(columns: Sequence[ColumnProfile]) -> float:
    total = sum(column.finite for column in columns)
    return sum(column.mean * column.finite for column in columns) / total if total else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """The shares at approval: of predictions up to the bin of each decile, or of each class."""

    rows: int
    shares: Floats
    histogram: Histogram | None = None
    bins: Ints | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Sequence[ColumnProfile]) -> _Reference:
        """Collect the shares of the predictions of several partitions."""
        rows = sum(column.present_count for column in columns)
        held = [column.histogram for column in columns if column.histogram is not None]
        if held:
            whole = merge_histograms(held)
            below = np.cumsum(counts_of(whole)) / rows
            at = np.unique(np.searchsorted(below, np.arange(1, 10) / 10))
            last = bins_of(whole)[at]
            if at.size < 9:
                # Many predictions are equal: what is below their bin tells more.
                last = np.unique(np.concatenate([last - 1, last]))
            return cls(rows=rows, shares=_up_to(whole, last) / rows, histogram=whole, bins=last)
        known: Counter[str] = Counter()
        for column in columns:
            known.update(column.categories.counts if column.categories else {})
        names = tuple(name for name, _ in known.most_common(_MOST_CLASSES))
        shares = np.array([known[name] / rows for name in names], np.float64)
        return cls(rows=rows, shares=shares, classes=names)

    def evidence(self, day: ColumnProfile, tolerance: float) -> Floats:
        """Return the logs of the e-values of a day: for each share, side and effect size."""
        if (self.histogram is None) != (day.histogram is None):
            return np.zeros(self.shares.size * len(EFFECTS) * 2)
        count, uncertain = self._counts(day)
        shares = Shares(
            count=count, rows=day.present_count, reference=self.shares, reference_rows=self.rows,
            uncertain=uncertain,
        )  # fmt: skip
        return share_evidence(shares, tolerance=tolerance).ravel()

    def _counts(self, day: ColumnProfile) -> tuple[Floats, int]:
        if self.histogram is None or day.histogram is None:
            now = day.categories.counts if day.categories else {}
            return np.array([now.get(name, 0) for name in self.classes], np.float64), 0
        assert self.bins is not None
        moved = move_to_grid(day.histogram, self.histogram.grid)
        return _up_to(moved, self.bins), moved.blur


def _up_to(histogram: Histogram, bins: Ints) -> Floats:
    """Count the values in the bins up to each of some bins."""
    sums = np.concatenate([[0], np.cumsum(counts_of(histogram))])
    return sums[np.searchsorted(bins_of(histogram), bins, side="right")].astype(np.float64)
