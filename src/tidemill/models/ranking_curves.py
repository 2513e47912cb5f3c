"""ROC and precision-recall curves of predicted probabilities, with the areas under them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.scored_rows import LABEL, PREDICTED

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingCurve:
    """The points of a curve, in order, and the area under it."""

    x: Floats
    y: Floats
    area: float


def roc_curve(frame: pl.DataFrame) -> RankingCurve:
    """True positive rate over false positive rate, a point for each prediction that occurs.

    The area is the chance that a positive row has a greater prediction than a negative one.
    """
    hits, misses = _counts(frame)
    true, false = np.r_[0.0, hits / hits[-1]], np.r_[0.0, misses / misses[-1]]
    return RankingCurve(x=false, y=true, area=float(np.trapezoid(true, false)))


def precision_recall_curve(frame: pl.DataFrame) -> RankingCurve:
    """Precision over recall, a point for each prediction that occurs, from the greatest on.

    The area is the average precision: the mean of the precision, weighed by the increase in recall.
    """
    hits, misses = _counts(frame)
    recall, precision = hits / hits[-1], hits / (hits + misses)
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return RankingCurve(x=recall, y=precision, area=area)


def _counts(frame: pl.DataFrame) -> tuple[Floats, Floats]:
    """Positive and negative rows among those with at least each prediction, from the greatest on."""
    steps = (
        frame.group_by(PREDICTED)
        .agg(pl.col(LABEL).sum().alias("hits"), pl.len().alias("all"))
        .sort(PREDICTED, descending=True)
    )
    hits = steps["hits"].cum_sum().to_numpy().astype(np.float64)
    return hits, steps["all"].cum_sum().to_numpy().astype(np.float64) - hits
