"""Labels, predictions and weights as numbers."""

from __future__ import annotations

import math

import polars as pl
import pytest

from tidemill.models.scored_columns import binary_columns, regression_columns, undefined_where

ROWS = pl.DataFrame(
    {"y": [1, None, 0, 2], "prediction": [0.5, 0.5, None, math.nan], "w": [1.0, 2.0, None, 4.0]}
)


def values(expression: pl.Expr) -> list[float | None]:
    """What an expression says of each row, with "nan" spelled out."""
    found = ROWS.select(expression.alias("x"))["x"].to_list()
    return ["nan" if v is not None and math.isnan(v) else v for v in found]  # type: ignore[misc]


def test_an_unknown_label_stays_null_and_a_missing_prediction_is_nan() -> None:
    rows = regression_columns("y", "prediction", "w")
    assert values(rows.label) == [1.0, None, 0.0, 2.0]
    assert values(rows.prediction) == [0.5, 0.5, "nan", "nan"]
    assert values(rows.weights) == [1.0, None, "nan", 4.0]
    assert values(regression_columns("y", "prediction", None).weights) == [1.0, None, 1.0, 1.0]
    assert values(rows.known(rows.prediction)) == [0.5, "nan", "nan"]


def test_a_class_is_zero_or_one() -> None:
    assert values(binary_columns("y", "prediction", None).label) == [1.0, None, 0.0, "nan"]
    assert values(binary_columns("y", "prediction", None, 2).label) == [0.0, None, 0.0, 1.0]


def test_means_are_weighed_by_known_rows() -> None:
    rows = regression_columns("y", "prediction", "w")
    known = ROWS.with_columns(w=pl.Series([1.0, 100.0, 1.0, 2.0]))
    assert known.select(rows.mean(rows.label)).item() == pytest.approx(5 / 4)


def test_an_undefined_figure_is_nan() -> None:
    defined = undefined_where(pl.lit(False), pl.lit(1.0))
    assert ROWS.select(defined).item() == 1.0
    assert math.isnan(ROWS.select(undefined_where(pl.lit(True), pl.lit(1.0))).item())
