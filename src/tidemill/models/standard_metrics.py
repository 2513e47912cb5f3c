"""Standard metrics for `tm.scores`: regression, classification, several classes, ranking.

Each takes the name of the label, and optionally of the prediction (`prediction`) and of a column of
weights. Rows with a null label are left out. A prediction that is null or NaN makes the metric NaN, and so
does a window that can't tell (one class only, a constant label); NaN fails every gate. Formulas are those
of scikit-learn, unless a docstring says otherwise.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.models.metric import Metric
from tidemill.models.ranks import area_under_roc, mean_precision
from tidemill.models.scored_columns import (
    PREDICTION,
    ScoredColumns,
    as_number,
    binary_columns,
    regression_columns,
    undefined_where,
)
from tidemill.workflow.gate import Bounds, Goal, Threshold

# The least and the greatest value of errors, and of shares.
_ERROR: Bounds = (0.0, None)
_SHARE: Bounds = (0.0, 1.0)
# Predictions are clipped by as much before their logarithm, as scikit-learn does.
_EPSILON = sys.float_info.epsilon


def mae(label: str, *, prediction: str = PREDICTION, weight: str | None = None) -> Metric:
    """Return the mean absolute error."""
    rows = regression_columns(label, prediction, weight)
    return Metric(
        name="mae", expression=rows.mean((rows.prediction - rows.label).abs()), bounds=_ERROR
    )


def rmse(label: str, *, prediction: str = PREDICTION, weight: str | None = None) -> Metric:
    """Return the root of the mean squared error."""
    rows = regression_columns(label, prediction, weight)
    error = (rows.prediction - rows.label) ** 2
    return Metric(name="rmse", expression=rows.mean(error).sqrt(), bounds=_ERROR)


def bias(label: str, *, prediction: str = PREDICTION, weight: str | None = None) -> Metric:
    """Return the mean of prediction less label; zero is best."""
    rows = regression_columns(label, prediction, weight)
    return Metric(name="bias", expression=rows.mean(rows.prediction - rows.label), goal=Goal.ZERO)


def r2(label: str, *, prediction: str = PREDICTION, weight: str | None = None) -> Metric:
    """Return the share of the label's variance that is explained; NaN for a constant label."""
    rows = regression_columns(label, prediction, weight)
    left = ((rows.label - rows.prediction) ** 2 * rows.weights).sum()
    whole = ((rows.label - rows.mean(rows.label)) ** 2 * rows.weights).sum()
    return Metric(
        name="r2",
        expression=undefined_where(rows.label.min() == rows.label.max(), 1 - left / whole),
        goal=Goal.HIGH,
        bounds=(None, 1.0),
    )


def pinball(
    label: str, *, quantile: float, prediction: str = PREDICTION, weight: str | None = None
) -> Metric:
    """Return the pinball loss of a predicted quantile, between 0 and 1."""
    if not 0 < quantile < 1:
        raise UsageError(f"pinball(quantile={quantile!r}): a quantile is between 0 and 1")
    rows = regression_columns(label, prediction, weight)
    error = rows.label - rows.prediction
    loss = pl.when(error >= 0).then(quantile * error).otherwise((quantile - 1) * error)
    return Metric(name="pinball", expression=rows.mean(loss), bounds=_ERROR)


def mape(
    label: str, *, floor: float, prediction: str = PREDICTION, weight: str | None = None
) -> Metric:
    """Return the mean absolute error as a share of the label, which counts as at least `floor`.

    Labels near zero would otherwise outweigh all others. scikit-learn's floor is 2.2e-16.
    """
    if not floor > 0:
        raise UsageError(
            f"mape(floor={floor!r}): the floor is the smallest label that counts, above 0"
        )
    rows = regression_columns(label, prediction, weight)
    size = pl.when(rows.label.abs() < floor).then(floor).otherwise(rows.label.abs())
    return Metric(
        name="mape",
        expression=rows.mean((rows.prediction - rows.label).abs() / size),
        bounds=_ERROR,
    )


def log_loss(
    label: str,
    *,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the logarithmic loss of the probability of the positive class; NaN outside 0 to 1."""
    rows = binary_columns(label, prediction, weight, positive)
    p = _probability(rows.prediction).clip(_EPSILON, 1 - _EPSILON)
    loss = -(rows.label * p.log() + (1 - rows.label) * (1 - p).log())
    return Metric(
        name="log_loss",
        expression=rows.mean(loss),
        positive=_positive_label(label, prediction, positive),
        bounds=_ERROR,
    )


def brier(
    label: str,
    *,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the mean squared error of the probability of the positive class; NaN outside 0 to 1."""
    rows = binary_columns(label, prediction, weight, positive)
    return Metric(
        name="brier",
        expression=rows.mean((_probability(rows.prediction) - rows.label) ** 2),
        positive=_positive_label(label, prediction, positive),
        bounds=_SHARE,
    )


def auc(
    label: str,
    *,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the area under the ROC curve, where ties count half; NaN with one class only."""
    rows = binary_columns(label, prediction, weight, positive)
    return Metric(
        name="auc",
        expression=area_under_roc(rows),
        goal=Goal.HIGH,
        positive=_positive_label(label, prediction, positive),
        bounds=_SHARE,
    )


def average_precision(
    label: str,
    *,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the average precision, where tied rows share a threshold; NaN without a positive row."""
    rows = binary_columns(label, prediction, weight, positive)
    return Metric(
        name="average_precision",
        expression=mean_precision(rows),
        goal=Goal.HIGH,
        positive=_positive_label(label, prediction, positive),
        bounds=_SHARE,
    )


def precision(
    label: str,
    *,
    threshold: float | Threshold = 0.5,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the share of positives among the rows predicted from `threshold` on; 0 without such rows."""
    rows = binary_columns(label, prediction, weight, positive)
    hits, alarms, _ = _counts(rows, threshold)
    value = pl.when(alarms == 0).then(0.0).otherwise(hits / alarms)
    return _judged("precision", value, threshold, _positive_label(label, prediction, positive))


def recall(
    label: str,
    *,
    threshold: float | Threshold = 0.5,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the share of positives that are predicted from `threshold` on; NaN without a positive row."""
    rows = binary_columns(label, prediction, weight, positive)
    hits, _, positives = _counts(rows, threshold)
    return _judged(
        "recall",
        undefined_where(positives == 0, hits / positives),
        threshold,
        _positive_label(label, prediction, positive),
    )


def f1(
    label: str,
    *,
    threshold: float | Threshold = 0.5,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the harmonic mean of precision and recall; NaN without a positive row."""
    rows = binary_columns(label, prediction, weight, positive)
    hits, alarms, positives = _counts(rows, threshold)
    value = undefined_where(positives == 0, 2 * hits / (alarms + positives))
    return _judged("f1", value, threshold, _positive_label(label, prediction, positive))


def accuracy(
    label: str,
    *,
    threshold: float | Threshold | None = None,
    prediction: str = PREDICTION,
    weight: str | None = None,
    positive: object = None,
) -> Metric:
    """Return the share of rows whose class is predicted.

    With `threshold` the prediction is the probability of the positive class; without it, it is a class.
    """
    if threshold is not None:
        rows = binary_columns(label, prediction, weight, positive)
        right = (_alarm(rows, threshold) - rows.label).abs() * -1 + 1
        return _judged(
            "accuracy", rows.mean(right), threshold, _positive_label(label, prediction, positive)
        )
    truth, guess = pl.col(label), pl.col(prediction)
    right = pl.when(guess.is_null()).then(math.nan).otherwise((guess == truth).cast(pl.Float64))
    known = pl.when(truth.is_not_null()).then(right)
    weights = None if weight is None else as_number(pl.col(weight))
    found = ScoredColumns(label=known, prediction=known, weight=weights)
    return Metric(name="accuracy", expression=found.mean(known), goal=Goal.HIGH, bounds=_SHARE)


def calibration_error(
    label: str,
    *,
    bins: int = 10,
    prediction: str = PREDICTION,
    positive: object = None,
) -> Metric:
    """Return the expected calibration error: the mean gap of prediction and outcome.

    The gap is that of `bins` bins of equal width between 0 and 1, weighed by their rows (Naeini, Cooper and
    Hauskrecht 2015).
    """
    if bins < 1:
        raise UsageError(f"calibration_error(bins={bins}): there must be at least 1 bin")
    rows = binary_columns(label, prediction, None, positive)
    p = _probability(rows.prediction)
    gap = p - rows.label
    place = (p * bins).floor().clip(0, bins - 1)
    gaps = [(gap * (place == number).cast(pl.Float64)).sum().abs() for number in range(bins)]
    return Metric(
        name="calibration_error",
        expression=pl.sum_horizontal(gaps) / gap.count(),
        positive=_positive_label(label, prediction, positive),
        bounds=_SHARE,
    )


def macro_f1(label: str, *, classes: Sequence[object], prediction: str = PREDICTION) -> Metric:
    """Return the mean over `classes` of the F1 of each; a class that is nowhere counts 0."""
    _require_classes("macro_f1", classes)
    known = pl.col(label).is_not_null()
    truth, guess = pl.col(label).filter(known), pl.col(prediction).filter(known)
    parts = []
    for each in classes:
        hits = (truth.eq(each) & guess.eq(each)).sum()
        size = truth.eq(each).sum() + guess.eq(each).sum()
        parts.append(pl.when(size == 0).then(0.0).otherwise(2 * hits / size))
    value = undefined_where(guess.null_count() > 0, pl.sum_horizontal(parts) / len(classes))
    return Metric(
        name="macro_f1",
        expression=undefined_where(truth.len() == 0, value),
        goal=Goal.HIGH,
        bounds=_SHARE,
    )


def multiclass_log_loss(
    label: str, *, classes: Sequence[object], weight: str | None = None
) -> Metric:
    """Return the logarithmic loss of the columns `probability_CLASS`, whose sum counts as 1.

    A label that is none of `classes` makes it NaN.
    """
    _require_classes("multiclass_log_loss", classes)
    known = pl.col(label).is_not_null()
    columns = [as_number(pl.col(f"probability_{each}")) for each in classes]
    whole = sum(columns[1:], columns[0])
    chosen = pl.lit(math.nan, pl.Float64)
    for each, column in zip(classes, columns, strict=True):
        chosen = pl.when(pl.col(label).eq(each)).then(column).otherwise(chosen)
    p = _probability(pl.when(known).then(chosen / whole)).clip(_EPSILON, 1 - _EPSILON)
    weights = None if weight is None else as_number(pl.col(weight))
    rows = ScoredColumns(label=p, prediction=p, weight=weights)
    return Metric(name="multiclass_log_loss", expression=rows.mean(-p.log()), bounds=_ERROR)


def ndcg(label: str, *, group: str, k: int, prediction: str = PREDICTION) -> Metric:
    """Return the mean over groups of the normalized discounted cumulative gain of the first `k` rows.

    The label is the gain, not negative, and 0 where it is null. Tied predictions share the mean gain of
    their rows. Unlike scikit-learn, which counts them as 0, groups without any gain are left out: they tell
    nothing.
    """
    _require_k("ndcg", k)
    score, gain = as_number(pl.col(prediction)), pl.col(label).cast(pl.Float64).fill_null(0.0)
    found = gain.mean().over(group, score) * _discount(score, k, group)
    best = (gain * _discount(gain, k, group)).sum().over(group)
    each = pl.when(best > 0).then(found.sum().over(group) / best)
    return _of_groups("ndcg", (label, prediction, group, k), each, score.is_nan().any().over(group))


def hit_rate(label: str, *, group: str, k: int, prediction: str = PREDICTION) -> Metric:
    """Return the share of groups with a relevant row (a label above 0) among the first `k`.

    Tied rows all count as the last of them. Groups without a relevant row are left out.
    """
    _require_k("hit_rate", k)
    score, relevant = as_number(pl.col(prediction)), (pl.col(label) > 0).fill_null(False)
    place = score.rank("max", descending=True).over(group)
    hit = ((place <= k) & relevant).any().over(group).cast(pl.Float64)
    each = pl.when(relevant.any().over(group)).then(hit)
    missing = score.is_nan().any().over(group)
    return _of_groups("hit_rate", (label, prediction, group, k), each, missing)


def _of_groups(name: str, of: tuple[object, ...], each: pl.Expr, missing: pl.Expr) -> Metric:
    """The mean over groups of a value that stands in the first row of each, NaN without a prediction."""
    group = str(of[2])
    column = "_".join(map(str, ("_tidemill", name, *of)))
    first = pl.int_range(pl.len()).over(group) == 0
    value = pl.when(missing).then(math.nan).otherwise(each)
    return Metric(
        name=name,
        expression=pl.col(column).mean(),
        goal=Goal.HIGH,
        columns={column: pl.when(first).then(value)},
        group=group,
        bounds=_SHARE,
    )


def _discount(values: pl.Expr, k: int, group: str) -> pl.Expr:
    place = values.rank("ordinal", descending=True).over(group)
    return pl.when(place <= k).then(math.log(2) / (place + 1).cast(pl.Float64).log()).otherwise(0.0)


def _counts(rows: ScoredColumns, threshold: float | Threshold) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """The weight of true positives, of rows predicted positive, and of positives."""
    alarm, weights = _alarm(rows, threshold), rows.weights
    return (
        (alarm * rows.label * weights).sum(),
        (alarm * weights).sum(),
        (rows.label * weights).sum(),
    )


def _alarm(rows: ScoredColumns, threshold: float | Threshold) -> pl.Expr:
    """1 for rows that are predicted positive, 0 for others, NaN without a prediction."""
    alarm = (rows.prediction >= float(threshold)).cast(pl.Float64)
    return pl.when(rows.prediction.is_nan()).then(math.nan).otherwise(alarm)


def _probability(prediction: pl.Expr) -> pl.Expr:
    outside = (prediction < 0) | (prediction > 1)
    return pl.when(outside).then(math.nan).otherwise(prediction)


def _judged(
    name: str,
    value: pl.Expr,
    threshold: float | Threshold,
    positive: tuple[str, object] | None,
) -> Metric:
    chosen = threshold if isinstance(threshold, Threshold) else None
    return Metric(
        name=name,
        expression=value,
        goal=Goal.HIGH,
        threshold=chosen,
        positive=positive,
        bounds=_SHARE,
    )


def _positive_label(label: str, prediction: str, positive: object) -> tuple[str, object] | None:
    """The label and its positive class, if the column `prediction` must be the probability of that."""
    return None if positive is None or prediction != PREDICTION else (label, positive)


def _require_k(metric: str, k: int) -> None:
    if k < 1:
        raise UsageError(f"{metric}(k={k}): it looks at the first k rows, at least 1")


def _require_classes(metric: str, classes: Sequence[object]) -> None:
    if len(set(classes)) < 2 or isinstance(classes, str):
        raise UsageError(f"{metric}(classes={classes!r}): name at least two classes")
