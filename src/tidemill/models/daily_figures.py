"""Compute the metrics of each day, and without each day, so that intervals need no rows later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import polars as pl

from tidemill.analysis.query.partitionwise import is_row_wise
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.models.intervals import day_blocks
from tidemill.workflow.gate import Daily

# The column that `with_days` adds.
DAY = "_tidemill_day"
_ROWS = "_tidemill_rows"


Shapes: TypeAlias = tuple[set[str], set[str]]


def with_days(frame: pl.DataFrame, day: str) -> pl.DataFrame:
    """Add the day of each row as text; UsageError for rows without a day."""
    column = pl.col(day)
    if isinstance(frame.schema[day], pl.Datetime):
        column = column.dt.date()
    days = frame.with_columns(column.cast(pl.String).alias(DAY))
    missing = days[DAY].null_count()
    if missing:
        raise UsageError(
            f"day={day!r}: {plural(missing, 'row')} of {frame.height:,} have no day; "
            "drop them before scores()"
        )
    return days


def days_of(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the days of a frame from `with_days`, in order."""
    return tuple(frame[DAY].unique().sort())


def mean_shapes(frame: pl.DataFrame, expressions: Mapping[str, pl.Expr]) -> Shapes:
    """Return the names of the metrics that are means of one number per row, and of the roots of such."""
    means = {name for name, e in expressions.items() if _is_mean(e, frame)}
    return means, {name for name, e in expressions.items() if _is_root_of_mean(e, frame)}


def daily_figures(frame: pl.DataFrame, expressions: Mapping[str, pl.Expr], shapes: Shapes) -> Daily:
    """Compute the metrics of each day of a frame from `with_days`, and without each block of days.

    `shapes` are those of `mean_shapes`, of these rows or of more.
    """
    aggregates = [expression.alias(name) for name, expression in expressions.items()]
    by_day = frame.group_by(DAY).agg(pl.len().alias(_ROWS), *aggregates).sort(DAY)
    days, rows = tuple(by_day[DAY]), tuple(by_day[_ROWS])
    metrics = {name: tuple(map(as_figure, by_day[name])) for name in expressions}
    means, roots = shapes
    others = {name: e for name, e in expressions.items() if name not in means | roots}
    return Daily(
        days=days,
        rows=rows,
        metrics={name: tuple(map(_shortened, values)) for name, values in metrics.items()},
        roots=tuple(sorted(roots)),
        without=_without_each_block(frame, days, others),
    )


def as_figure(value: object) -> float:
    """Return a computed value as a float, NaN for null."""
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


def _is_mean(expression: pl.Expr, frame: pl.DataFrame) -> bool:
    """Whether a metric is a mean of one number per row, so that it follows from those of the days."""
    operands = expression.meta.pop()
    if len(operands) != 1 or not operands[0].mean().meta.eq(expression):
        return False
    each = operands[0]
    if each.meta.is_literal() or not is_row_wise(each, frame.schema):
        return False
    return int(frame.select(each.is_null().sum()).item()) == 0


def _is_root_of_mean(expression: pl.Expr, frame: pl.DataFrame) -> bool:
    operands = expression.meta.pop()
    return any(each.sqrt().meta.eq(expression) and _is_mean(each, frame) for each in operands)


def _without_each_block(
    frame: pl.DataFrame, days: Sequence[str], expressions: Mapping[str, pl.Expr]
) -> dict[str, tuple[float, ...]]:
    if not expressions:
        return {}
    aggregates = [expression.alias(name) for name, expression in expressions.items()]
    found: list[dict[str, object]] = []
    for start, stop in day_blocks(days):
        rest = frame.lazy().filter(~pl.col(DAY).is_in(list(days[start:stop])))
        found.append(rest.select(aggregates).collect().row(0, named=True))
    return {name: tuple(_shortened(as_figure(row[name])) for row in found) for name in expressions}


def _shortened(value: float) -> float:
    """Round a figure to 10 digits, so that the ledger stays small."""
    return float(f"{value:.10g}")
