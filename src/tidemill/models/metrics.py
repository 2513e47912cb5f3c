"""Compute metrics of predictions, overall and by slice."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.models.given_frames import given_frame
from tidemill.workflow.gate import Scores, Slice

_ROWS = "_rows"


def scores(scored: pl.LazyFrame, *, by: str | None = None, **metrics: pl.Expr) -> Scores:
    """Compute metrics of scored rows, overall and for each value of the column `by`.

    Each metric is an aggregate: `mae=(pl.col("prediction") - pl.col("y")).abs().mean()`. One that is null
    becomes NaN, which fails every gate. Raises UsageError without metrics, or for an expression with a
    value per row or a frame that isn't Polars'.
    """
    if not metrics:
        raise UsageError(
            "scores() needs a metric: mae=(pl.col('prediction') - pl.col('y')).abs().mean()"
        )
    scored = given_frame(scored, "scores")
    wanted = [pl.len().alias(_ROWS), *(metric.alias(name) for name, metric in metrics.items())]
    overall = scored.select(wanted)
    if by is None:
        row = _only_row(overall.collect())
        return Scores(rows=row.pop(_ROWS), metrics=_numbers(row))
    whole, split = pl.collect_all(
        [overall, scored.group_by(pl.col(by).cast(pl.String)).agg(wanted)]
    )
    row = _only_row(whole)
    slices = [
        Slice(value=str(part.pop(by)), rows=part.pop(_ROWS), metrics=_numbers(part))
        for part in split.sort(by).iter_rows(named=True)
    ]
    return Scores(rows=row.pop(_ROWS), metrics=_numbers(row), by=by, slices=tuple(slices))


def _only_row(whole: pl.DataFrame) -> dict[str, Any]:
    if whole.height != 1:
        raise UsageError(
            f"one of {', '.join(whole.columns[1:])} has a value per row; "
            "a metric must be an aggregate such as (...).abs().mean()"
        )
    return whole.row(0, named=True)


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in row.items()}
