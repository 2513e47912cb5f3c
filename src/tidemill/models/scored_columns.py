"""Columns of scored rows as numbers: labels, predictions and weights, as every metric reads them.

Rows whose label is null are left out, because nothing is known about them. A prediction that is null or NaN
makes a metric NaN, which fails every gate: a model that skips hard rows must not look better for it.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

PREDICTION = "prediction"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredColumns:
    """The label, prediction and weight of each row, as Float64; the label is null where it is unknown."""

    label: pl.Expr
    prediction: pl.Expr
    weight: pl.Expr | None = None

    def mean(self, each: pl.Expr) -> pl.Expr:
        """Return the (weighted) mean of an expression that is null where the label is."""
        if self.weight is None:
            return each.mean()
        return (each * self.weight).sum() / self.weights.sum()

    @property
    def weights(self) -> pl.Expr:
        """The weight of each row with a label, 1 without a column of weights."""
        known = self.label.is_not_null()
        return pl.when(known).then(1.0 if self.weight is None else self.weight)

    def known(self, each: pl.Expr) -> pl.Expr:
        """Return an expression for the rows with a label only."""
        return each.filter(self.label.is_not_null())


def regression_columns(label: str, prediction: str, weight: str | None) -> ScoredColumns:
    """Return the columns of a numeric label."""
    return ScoredColumns(
        label=pl.col(label).cast(pl.Float64),
        prediction=as_number(pl.col(prediction)),
        weight=None if weight is None else as_number(pl.col(weight)),
    )


def binary_columns(
    label: str, prediction: str, weight: str | None, positive: object = None
) -> ScoredColumns:
    """Return the columns of a label with two classes, which is 1 for the positive one.

    Without `positive` the label is Boolean, or 0 and 1; another value makes the metric NaN.
    """
    if positive is None:
        raw = pl.col(label).cast(pl.Float64)
        odd = raw.is_not_null() & (raw != 0) & (raw != 1)
        truth = pl.when(odd).then(math.nan).otherwise(raw)
    else:
        truth = pl.col(label).eq(positive).cast(pl.Float64)
    found = regression_columns(label, prediction, weight)
    return ScoredColumns(label=truth, prediction=found.prediction, weight=found.weight)


def require_numbers(column: pl.Series, taker: str, advice: str = "") -> None:
    """Raise UsageError for a column whose values are no numbers, nor text of numbers, with an advice."""
    dtype = column.dtype
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return
    if (
        dtype == pl.String
        and column.cast(pl.Float64, strict=False).null_count() == column.null_count()
    ):
        return
    raise UsageError(
        f"{taker} takes numbers, and {column.name!r} is {dtype}{f': {advice}' if advice else ''}"
    )


def require_comparable(column: pl.Series, positive: object, taker: str) -> None:
    """Raise UsageError for a label that has no value like the class `positive`."""
    try:
        column.to_frame().select(pl.col(column.name).eq(positive))
        if not column.dtype.is_nested():
            return
    except (pl.exceptions.PolarsError, TypeError):
        pass
    raise UsageError(
        f"{taker}: {column.name!r} is {column.dtype}, which has no value like positive={positive!r}"
    )


def require_greatest_class(
    frame: pl.DataFrame, named: tuple[str, object] | None, taker: str
) -> None:
    """Raise UsageError if a label has a greater class than the positive one: `named` is both.

    The column `prediction` of a model of two classes is the probability of the greater one.
    """
    if named is None or named[0] not in frame.columns:
        return
    column, positive = frame[named[0]], named[1]
    require_comparable(column, positive, taker)
    text = isinstance(column.dtype, pl.Categorical | pl.Enum)
    try:
        greatest: Any = (column.cast(pl.String) if text else column).max()
        if greatest is None or not greatest > positive:
            return
    except TypeError:
        return  # no label equals it
    raise UsageError(
        f"{taker}: {PREDICTION!r} is the probability of the greatest class of {named[0]!r}, {greatest!r}, "
        f"not of positive={positive!r}: take positive={greatest!r}, or add a column of the probability of "
        f"{positive!r}, such as 1 - {PREDICTION}, and name it, prediction='...'"
    )


def as_number(column: pl.Expr) -> pl.Expr:
    """Return a column as Float64, NaN for null."""
    return column.cast(pl.Float64).fill_null(math.nan)


def undefined_where(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Return an aggregate, NaN where it has no meaning."""
    return pl.when(condition).then(math.nan).otherwise(value)
