"""Choose a decision threshold on some days, to judge it on others."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature

import polars as pl

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.partition import parse_span
from tidemill.models.daily_figures import DAY, as_figure, days_of, with_days
from tidemill.models.given_frames import given_frame
from tidemill.models.metric import Metric
from tidemill.models.scored_columns import (
    PREDICTION,
    require_comparable,
    require_greatest_class,
    require_numbers,
)
from tidemill.workflow.gate import Goal, Threshold

# More thresholds than this aren't tried; those that are split the rows evenly.
MAX_TRIED = 200


def threshold(
    scored: pl.LazyFrame,
    label: str,
    *,
    day: str,
    best: Callable[..., Metric],
    prediction: str = PREDICTION,
    positive: object = None,
) -> Threshold:
    """Choose the prediction from which a row counts as positive, on the days of these rows.

    `best` is the metric of which the best value decides, `tm.metrics.f1`. The result is for metrics on
    other days: `tm.scores(later, tm.metrics.f1("late", threshold=chosen), day="date")` refuses a day that
    it was chosen on. UsageError if no threshold has a value, such as without a positive row.
    """
    frame = _with_days(scored, day, "threshold", label=label, prediction=prediction)
    require_numbers(frame[prediction], "threshold()")
    if positive is None:
        require_numbers(frame[label], "threshold()", "name its positive class, positive='...'")
    else:
        require_comparable(frame[label], positive, "threshold()")
    known = frame.filter(pl.col(prediction).is_not_null(), pl.col(label).is_not_null())
    if positive is not None and prediction == PREDICTION:
        require_greatest_class(known, (label, positive), "threshold()")
    values = known[prediction].cast(pl.Float64).unique().sort()
    if len(values) > MAX_TRIED:
        places = [round(n * (len(values) - 1) / (MAX_TRIED - 1)) for n in range(MAX_TRIED)]
        values = values[places]
    if not callable(best) or "threshold" not in signature(best).parameters:
        name = getattr(best, "__name__", repr(best))
        raise UsageError(
            f"threshold(), best={name}: it takes no threshold; take tm.metrics.f1, precision, recall or "
            "accuracy"
        )
    tried = [
        best(label, threshold=float(v), prediction=prediction, positive=positive) for v in values
    ]
    if not tried:
        raise UsageError("threshold(): there is no row with a label and a prediction to choose on")
    found = known.select(metric.expression.alias(str(n)) for n, metric in enumerate(tried))
    figures = [as_figure(value) for value in found.row(0)]
    sign = 1 if tried[0].goal is Goal.HIGH else -1
    usable = [n for n, figure in enumerate(figures) if math.isfinite(figure)]
    if not usable:
        raise UsageError(
            f"threshold(): {tried[0].name} has no value at any threshold; are there rows of both classes, "
            "and are all predictions numbers?"
        )
    # Of equal thresholds the highest raises the fewest alarms.
    chosen = max(usable, key=lambda n: (sign * figures[n], n))
    return Threshold(
        value=float(values[chosen]),
        days=days_of(frame),
        metric=tried[0].name,
        score=figures[chosen],
    )


def split(scored: pl.LazyFrame, *, day: str, last: str) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Split rows into those before the last days and those of the last days, such as `last="7d"`.

    The days end with the newest of the rows, not with today. UsageError if no row is earlier.
    """
    frame = _with_days(scored, day, "split")
    dates = frame[day].dt.date() if isinstance(frame.schema[day], pl.Datetime) else frame[day]
    if not isinstance(dates.dtype, pl.Date):
        problem = f"the column is {dates.dtype}, not a Date or Datetime"
        raise UsageError(f"split(day={day!r}): {problem}; filter the rows by blocks instead")
    first = pl.Series([dates.max()], dtype=pl.Date).dt.offset_by(f"-{_days(last) - 1}d").item()
    rows, is_late = frame.drop(DAY), dates >= first
    earlier, later = rows.filter(~is_late), rows.filter(is_late)
    if earlier.is_empty():
        raise UsageError(
            f"split(last={last!r}): none of the {frame.height:,} rows is of an earlier day"
        )
    return earlier.lazy(), later.lazy()


def _days(last: str) -> int:
    try:
        span = parse_span(last)
    except ValueError as error:
        raise UsageError(f"split(last={last!r}): {error}") from None
    if span.unit not in ("d", "w"):
        raise UsageError(f"split(last={last!r}): name a number of days or weeks, such as '7d'")
    return span.count * (7 if span.unit == "w" else 1)


def _with_days(scored: pl.LazyFrame, day: str, function: str, **more: str) -> pl.DataFrame:
    """The rows with their days; UsageError for a column that isn't there, by the option that names it."""
    given = given_frame(scored, function)
    known = given.collect_schema().names()
    for option, column in {"day": day, **more}.items():
        if column not in known:
            advice = did_you_mean(column, known)
            raise UsageError(f"{function}({option}={column!r}): there is no such column ({advice})")
    return with_days(given.collect(), day)
