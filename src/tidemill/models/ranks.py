"""Metrics of the order of predictions as Polars aggregates: area under the ROC curve, average precision."""

from __future__ import annotations

import polars as pl

from tidemill.models.scored_columns import ScoredColumns, undefined_where


def area_under_roc(rows: ScoredColumns) -> pl.Expr:
    """Return the chance that a positive row is ranked above a negative one; ties count half."""
    score, positive, negative = _sorted(rows, descending=False)
    below = negative.cum_sum()
    # Ties: the negatives before the first and up to the last row of the same prediction.
    upto = pl.when(_is_last(score)).then(below).backward_fill()
    before = pl.when(_is_first(score)).then(below - negative).forward_fill()
    area = (positive * (upto + before) / 2).sum() / (positive.sum() * negative.sum())
    one_class = (positive.sum() == 0) | (negative.sum() == 0)
    return undefined_where(one_class | _is_missing(rows), area)


def mean_precision(rows: ScoredColumns) -> pl.Expr:
    """Return the mean over positive rows of the precision at their prediction."""
    score, positive, negative = _sorted(rows, descending=True)
    share = positive.cum_sum() / (positive + negative).cum_sum()
    at_tie = pl.when(_is_last(score)).then(share).backward_fill()
    # Before the first row with a weight, the share is undefined.
    hits = pl.when(positive == 0).then(0.0).otherwise(positive * at_tie)
    mean = hits.sum() / positive.sum()
    return undefined_where((positive.sum() == 0) | _is_missing(rows), mean)


def _sorted(rows: ScoredColumns, *, descending: bool) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """The predictions in order, and the weights of positive and of negative rows."""
    order = rows.known(rows.prediction)
    positive, negative = rows.label * rows.weights, (1 - rows.label) * rows.weights
    return (
        order.sort(descending=descending),
        rows.known(positive).sort_by(order, descending=descending),
        rows.known(negative).sort_by(order, descending=descending),
    )


def _is_first(score: pl.Expr) -> pl.Expr:
    return (score != score.shift(1)).fill_null(True)


def _is_last(score: pl.Expr) -> pl.Expr:
    return (score != score.shift(-1)).fill_null(True)


def _is_missing(rows: ScoredColumns) -> pl.Expr:
    """Whether a prediction or a label is NaN."""
    return (rows.prediction + rows.label).is_nan().any()
