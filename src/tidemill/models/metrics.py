"""Compute metrics of predictions: overall, by day, and by slice."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.models.daily_figures import (
    DAY,
    Shapes,
    as_figure,
    daily_figures,
    days_of,
    mean_shapes,
    with_days,
)
from tidemill.models.given_frames import given_frame
from tidemill.models.metric import CurveMetric, Metric
from tidemill.models.predicted_values import prediction_profile
from tidemill.models.predictors import PREDICTION
from tidemill.models.scored_columns import require_greatest_class
from tidemill.workflow.gate import Goal, Scores, Slice

_ROWS, _SLICE = "_tidemill_rows", "_tidemill_slice"
# What Polars says of a column that is cast to numbers, or compared with them, and has none.
_HAS_NO_NUMBERS = re.compile(
    r"^(conversion from `(str|enum|cat)\w*` to `f64` failed|cannot cast ('Object'|.*\bFloat64)"
    r"|casting from .* to Float64|cannot compare categorical|could not evaluate comparison .*\bFloat64"
    r"|`\w+` operation not supported for dtype)"
)
_EXAMPLE = "(pl.col('prediction') - pl.col('y')).abs().mean()"
# The daily figures of more slices would fill the ledger.
DAILY_SLICES = 50


def scores(
    scored: pl.LazyFrame,
    *unnamed: Metric | CurveMetric,
    by: str | None = None,
    day: str | None = None,
    **named: pl.Expr | Metric | CurveMetric,
) -> Scores:
    """Compute metrics of scored rows, overall and for each value of the column `by`.

    A metric is one of `tm.metrics`, such as `tm.metrics.mae("delay")`, or an aggregate:
    `mae=(pl.col("prediction") - pl.col("y")).abs().mean()`. One that is null becomes NaN, which fails every
    gate. `day` is the column of days (Date or Datetime) or of other blocks (integers or String): rows of one
    day depend on each other, so that confidence intervals and comparisons need the figures of each day.

    Raises UsageError without metrics, for two of one name, for an expression with a value per row, for a
    column that is missing or no number, for a threshold that was chosen on the same days, for a group of a
    ranking metric in several days or slices, and for a frame that isn't Polars'.
    """
    asked = _by_name(unnamed, named)
    metrics = {
        name: metric
        if isinstance(metric, Metric)
        else Metric(name=name, expression=metric, is_standard=False)
        for name, metric in asked.items()
        if not isinstance(metric, CurveMetric)
    }
    if not metrics:
        raise UsageError(f"scores() needs a metric: mae={_EXAMPLE}")
    curves = {name: metric for name, metric in asked.items() if isinstance(metric, CurveMetric)}
    named_columns = {"by": by, "day": day}
    with _explained_casts():
        frame = _collected(
            given_frame(scored, "scores"), metrics, named_columns, curves=bool(curves)
        )
        if day is not None:
            frame = with_days(frame, day)
        _require_other_days(frame, metrics, day)
        for name, metric in metrics.items():
            require_greatest_class(frame, metric.positive, name)
        _require_whole_groups(frame, metrics, named_columns)
        expressions = {name: metric.expression for name, metric in metrics.items()}
        found = frame.lazy().select(e.alias(name) for name, e in expressions.items()).collect()
        overall = _only_row(found)
        shapes = None if day is None else mean_shapes(frame, expressions)
        return Scores(
            rows=frame.height,
            metrics=overall,
            by=by or "",
            slices=() if by is None else tuple(_slices(frame, by, expressions, shapes)),
            daily=None if shapes is None else daily_figures(frame, expressions, shapes),
            goals={n: metric.goal for n, metric in metrics.items() if metric.goal is not Goal.LOW},
            curves={name: curve.compute(frame) for name, curve in curves.items()},
            bounds={n: m.bounds for n, m in metrics.items() if m.bounds != (None, None)},
            thresholds={n: m.threshold for n, m in metrics.items() if m.threshold is not None},
            predictions=prediction_profile(frame),
        )


def _by_name(
    unnamed: Iterable[Metric | CurveMetric], named: Mapping[str, pl.Expr | Metric | CurveMetric]
) -> dict[str, pl.Expr | Metric | CurveMetric]:
    found: dict[str, pl.Expr | Metric | CurveMetric] = {}
    own = ((getattr(each, "name", ""), each) for each in unnamed)
    for name, metric in (*own, *named.items()):
        if not isinstance(
            metric, (pl.Expr, Metric, CurveMetric) if name in named else (Metric, CurveMetric)
        ):
            raise UsageError(
                f"scores() takes metrics, such as tm.metrics.mae('y') or mae={_EXAMPLE}, "
                f"not {name}{'=' if name else ''}{metric!r}"
            )
        if name in found:
            raise UsageError(
                f"scores() has two metrics of the name {name!r}: pass one of them by another name, such as "
                f"other_{name}=..."
            )
        found[name] = metric
    return found


@contextmanager
def _explained_casts() -> Iterator[None]:
    """Raise UsageError for text and other values that are no numbers where a metric takes numbers."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        fault = str(error).partition("\n")[0]
        if not _HAS_NO_NUMBERS.search(fault):
            raise
        raise UsageError(
            f"scores(): a metric takes numbers: {fault}; name the class of a text label, positive='...', and "
            "the column of its probability, prediction='probability_...'"
        ) from error


def _collected(
    scored: pl.LazyFrame,
    metrics: Mapping[str, Metric],
    named: Mapping[str, str | None],
    *,
    curves: bool,
) -> pl.DataFrame:
    schema = scored.collect_schema()
    known = schema.names()
    for option, column in named.items():
        if column is None:
            continue
        if column not in known:
            advice = did_you_mean(column, known)
            raise UsageError(f"scores({option}={column!r}): there is no such column ({advice})")
        if _has_no_name(schema[column]):
            raise UsageError(
                f"scores({option}={column!r}): the column is {schema[column]}; "
                "name one of text, numbers or dates"
            )
    more = {name: e for metric in metrics.values() for name, e in metric.columns.items()}
    expressions = [metric.expression for metric in metrics.values()]
    if not any(e.meta.has_multiple_outputs() for e in expressions):
        read = {n for e in (*expressions, *more.values()) for n in e.meta.root_names()}
        for column in sorted(read.difference(known, more)):
            advice = did_you_mean(column, known)
            raise UsageError(f"scores(): a metric reads {column!r}, which isn't there ({advice})")
        _require_scalars(schema, metrics)
        if not curves:
            # Rows may be wide, and metrics read few columns.
            read.update(column for column in named.values() if column is not None)
            read.add(PREDICTION)
            scored = scored.select([name for name in known if name in read] or known)
    return scored.with_columns(**more).collect()


def _has_no_name(dtype: pl.DataType) -> bool:
    """Whether Polars can't write the values of a type as text, or not as text that people read."""
    return dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Duration)


def _require_scalars(schema: pl.Schema, metrics: Mapping[str, Metric]) -> None:
    """Raise UsageError for a struct or a list of `tm.metrics`: Polars panics on some.

    Expressions of users may take fields of them.
    """
    nested = {column: dtype for column, dtype in schema.items() if dtype.is_nested()}
    for name, metric in metrics.items():
        expressions = (metric.expression, *metric.columns.values()) if metric.is_standard else ()
        for column in nested.keys() & {n for e in expressions for n in e.meta.root_names()}:
            raise UsageError(
                f"scores(): {name} reads {column!r}, which is {nested[column]}; "
                "it takes columns of single values"
            )


def _require_other_days(
    frame: pl.DataFrame, metrics: Mapping[str, Metric], day: str | None
) -> None:
    """Raise UsageError for a threshold that was chosen on days of this frame."""
    for name, metric in metrics.items():
        if metric.threshold is None:
            continue
        if day is None:
            raise UsageError(
                f"{name} judges a chosen threshold: name the column of days, scores(..., day=...), so that "
                "it can't be judged on the days that it was chosen on"
            )
        both = sorted(set(metric.threshold.days).intersection(days_of(frame)))
        if both:
            raise UsageError(
                f"{name} judges a threshold on {both[0]}, a day that it was chosen on; choose it on earlier "
                "days: earlier, later = tm.split(scored, day=..., last='7d')"
            )


def _require_whole_groups(
    frame: pl.DataFrame, metrics: Mapping[str, Metric], named: Mapping[str, str | None]
) -> None:
    """Raise UsageError for a group of a ranking metric that days or slices would cut apart."""
    for name, metric in metrics.items():
        for option, column in named.items():
            if not metric.group or column in (None, metric.group):
                continue
            part = DAY if option == "day" else str(column)
            cut = frame.group_by(metric.group).agg(pl.col(part).unique().sort())
            torn = cut.filter(pl.col(part).list.len() > 1).sort(metric.group).head(1)
            for group, values in torn.iter_rows():
                raise UsageError(
                    f"{name} ranks the rows of each {metric.group!r}, but {group!r} has rows of several "
                    f"values of {option}={column!r} ({', '.join(map(str, values[:3]))}): name a column of "
                    "groups whose rows are all of one"
                )


def _slices(
    frame: pl.DataFrame, by: str, expressions: Mapping[str, pl.Expr], shapes: Shapes | None
) -> Iterator[Slice]:
    wanted = [pl.len().alias(_ROWS), *(e.alias(name) for name, e in expressions.items())]
    # Metrics may read the column that is split by, and have its name.
    text = frame.with_columns(pl.col(by).cast(pl.String).alias(_SLICE))
    split = text.lazy().group_by(_SLICE).agg(wanted).collect().sort(_SLICE)
    largest = set(split.sort(_ROWS, _SLICE, descending=[True, False])[_SLICE].head(DAILY_SLICES))
    null = _name_of_null(set(split[_SLICE]))
    parts: dict[Any, pl.DataFrame] = {}
    if shapes is not None:
        parts = {
            value: part
            for (value,), part in text.partition_by(_SLICE, as_dict=True).items()
            if value in largest
        }
    for row in split.iter_rows(named=True):
        value, rows = row.pop(_SLICE), row.pop(_ROWS)
        daily = None
        if shapes is not None and value in parts:
            daily = daily_figures(parts[value], expressions, shapes)
        yield Slice(
            value=null if value is None else value, rows=rows, metrics=_numbers(row), daily=daily
        )


def _name_of_null(others: Container[str]) -> str:
    """`None`, or a name that none of the other slices has: gates find slices by name."""
    name = "None"
    while name in others:
        name = f"({name})"
    return name


def _only_row(whole: pl.DataFrame) -> dict[str, float]:
    if whole.height != 1:
        raise UsageError(
            f"one of {', '.join(whole.columns)} has a value per row; "
            "a metric must be an aggregate such as (...).abs().mean()"
        )
    for name, dtype in whole.schema.items():
        if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            raise UsageError(
                f"scores(): {name} is {whole[name][0]!r} ({dtype}); a metric must be one number"
            )
    return _numbers(whole.row(0, named=True))


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: as_figure(value) for name, value in row.items()}
