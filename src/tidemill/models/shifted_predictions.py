"""The share of rows whose prediction changed, from what two models predicted on the same rows."""

from __future__ import annotations

from tidemill.contracts.profiles.distance import distance
from tidemill.contracts.profiles.record import Categories, ColumnProfile
from tidemill.workflow.gate import PredictionProfile, Scores


def changed_share(old: Scores, new: Scores) -> float | None:
    """The share (0 to 1) of scored rows whose prediction changed at least, or was lost.

    Rows without a prediction (null or NaN) have no place in a distribution, but count. None where nothing
    can be told.
    """
    if old.predictions is None or new.predictions is None:
        return None
    shift = shifted_share(old.predictions, new.predictions)
    return None if shift is None else max(shift, abs(_missing(old) - _missing(new)))


def _missing(scores: Scores) -> float:
    """The share of rows without a prediction."""
    present = scores.predictions.rows if scores.predictions is not None else 0
    return 1 - present / scores.rows if scores.rows else 0.0


def shifted_share(old: PredictionProfile, new: PredictionProfile) -> float | None:
    """The least share (0 to 1) of rows whose prediction must have changed; None if that can't be told.

    For numbers it is the Kolmogorov-Smirnov distance: the largest share that moved across any value. For
    classes it is half the sum of the differences of their shares.
    """
    if not old.rows or not new.rows:
        return None
    if old.categories is not None and new.categories is not None:
        return _moved_classes(old.categories, new.categories)
    ks = distance(_column(old), _column(new)).ks
    return None if ks is None else min(1.0, max(0.0, float(ks)))


def _moved_classes(old: Categories, new: Categories) -> float | None:
    if old.missed or new.missed:
        return None
    total, others = sum(old.counts.values()), sum(new.counts.values())
    if not total or not others:
        return None
    names = dict.fromkeys((*old.counts, *new.counts))
    apart = sum(abs(old.counts.get(n, 0) / total - new.counts.get(n, 0) / others) for n in names)
    return min(1.0, apart / 2)


def _column(found: PredictionProfile) -> ColumnProfile:
    return ColumnProfile(
        name="prediction",
        dtype="",
        rows=found.rows,
        nulls=0,
        finite=found.rows,
        mean=found.mean,
        histogram=found.histogram,
        categories=found.categories,
    )
