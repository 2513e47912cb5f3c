"""Curves of scored rows as data: calibration, lift, ROC, precision and recall.

They are stored with the scores, so that reports can draw them without the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.models.metric import CurveMetric
from tidemill.models.scored_columns import (
    PREDICTION,
    binary_columns,
    regression_columns,
    require_greatest_class,
)
from tidemill.workflow.gate import Curve

# Curves with a point per distinct prediction keep at most this many, evenly spread over the rows.
MAX_POINTS = 200


def calibration(
    label: str, *, bins: int = 10, prediction: str = PREDICTION, positive: object = None
) -> CurveMetric:
    """Return a calibration curve: by bin the mean prediction, the mean outcome and the rows.

    Bins hold equally many rows (ties stay together), so that few have too few rows to tell. The label is
    two classes (Boolean, 0 and 1, or equal to `positive`) or, for a regression, a number.
    """
    return _binned("calibration", label, bins, prediction, positive)


def lift(
    label: str, *, bins: int = 10, prediction: str = PREDICTION, positive: object = None
) -> CurveMetric:
    """Return a lift curve: for the rows with the highest predictions, their share of all rows (`share`),
    the share of all positives that they contain (`gain`), and that relative to a random order (`lift`).
    """
    _require_bins("lift", bins)
    return CurveMetric(
        name="lift", compute=partial(_lift, _reader(label, prediction, positive), bins)
    )


def roc(label: str, *, prediction: str = PREDICTION, positive: object = None) -> CurveMetric:
    """Return the ROC curve: false and true positive rate at each threshold, from the highest down."""
    return CurveMetric(name="roc", compute=partial(_roc, _reader(label, prediction, positive)))


def precision_recall(
    label: str, *, prediction: str = PREDICTION, positive: object = None
) -> CurveMetric:
    """Return precision and recall at each threshold, from the highest down."""
    read = _reader(label, prediction, positive)
    return CurveMetric(name="precision_recall", compute=partial(_precision_recall, read))


def _binned(name: str, label: str, bins: int, prediction: str, positive: object) -> CurveMetric:
    _require_bins(name, bins)
    return CurveMetric(
        name=name,
        compute=partial(_calibration, _reader(label, prediction, positive, binary=False), bins),
    )


_Read = Callable[[pl.DataFrame], pl.DataFrame]


def _reader(label: str, prediction: str, positive: object, *, binary: bool = True) -> _Read:
    """A function that takes the rows with a label and a prediction: columns `label` and `prediction`."""

    def read(frame: pl.DataFrame) -> pl.DataFrame:
        plain = regression_columns(label, prediction, None)
        both = binary_columns(label, prediction, None, positive)
        if positive is not None and prediction == PREDICTION:
            require_greatest_class(frame, (label, positive), "scores()")
        rows = both if binary or positive is not None else plain
        table = frame.select(label=rows.label, prediction=rows.prediction)
        return table.filter(pl.col("label").is_not_nan(), pl.col("prediction").is_not_nan())

    return read


def _calibration(read: _Read, bins: int, frame: pl.DataFrame) -> Curve:
    rows = read(frame)
    # The first row of a tie decides, so that equal predictions are in one bin.
    place = (pl.col("prediction").rank("min") - 1) * bins // pl.len()
    found = (
        rows.group_by(place.alias("bin"))
        .agg(
            predicted=pl.col("prediction").mean(),
            actual=pl.col("label").mean(),
            rows=pl.len().cast(pl.Float64),
        )
        .sort("bin")
    )
    return _columns(found.drop("bin"))


def _lift(read: _Read, bins: int, frame: pl.DataFrame) -> Curve:
    rows = read(frame)
    steps = _steps(rows).with_columns(
        share=pl.col("rows") / rows.height, gain=pl.col("hits") / rows["label"].sum()
    )
    if steps.is_empty() or not rows["label"].sum():
        return {"share": (), "gain": (), "lift": ()}
    wanted = pl.DataFrame({"goal": [(number + 1) / bins for number in range(bins)]})
    near = wanted.join_asof(
        steps.select("share", "gain").sort("share"),
        left_on="goal",
        right_on="share",
        strategy="forward",
        coalesce=False,
    )
    return _columns(
        near.drop("goal")
        .unique(maintain_order=True)
        .with_columns(lift=pl.col("gain") / pl.col("share"))
    )


def _roc(read: _Read, frame: pl.DataFrame) -> Curve:
    rows = read(frame)
    positives = rows["label"].sum()
    negatives = rows.height - positives
    if not positives or not negatives:
        return {"false_positive_rate": (), "true_positive_rate": (), "threshold": ()}
    return _columns(
        _thinned(_steps(rows)).select(
            false_positive_rate=(pl.col("rows") - pl.col("hits")) / negatives,
            true_positive_rate=pl.col("hits") / positives,
            threshold=pl.col("prediction"),
        )
    )


def _precision_recall(read: _Read, frame: pl.DataFrame) -> Curve:
    rows = read(frame)
    positives = rows["label"].sum()
    if not positives:
        return {"precision": (), "recall": (), "threshold": ()}
    return _columns(
        _thinned(_steps(rows)).select(
            precision=pl.col("hits") / pl.col("rows"),
            recall=pl.col("hits") / positives,
            threshold=pl.col("prediction"),
        )
    )


def _steps(rows: pl.DataFrame) -> pl.DataFrame:
    """For each distinct prediction, from the highest down: rows and positives from there on."""
    return (
        rows.group_by("prediction")
        .agg(hits=pl.col("label").sum(), rows=pl.len())
        .sort("prediction", descending=True)
        .with_columns(pl.col("hits").cum_sum(), pl.col("rows").cum_sum())
    )


def _thinned(steps: pl.DataFrame) -> pl.DataFrame:
    if steps.height <= MAX_POINTS:
        return steps
    place = pl.col("rows") * MAX_POINTS // (pl.col("rows").max() + 1)
    return steps.filter((place != place.shift(-1)).fill_null(True))


def _columns(table: pl.DataFrame) -> Curve:
    return {name: tuple(float(f"{v:.6g}") for v in table[name]) for name in table.columns}


def _require_bins(name: str, bins: int) -> None:
    if bins < 1:
        raise UsageError(f"{name}(bins={bins}): there must be at least 1 bin")
