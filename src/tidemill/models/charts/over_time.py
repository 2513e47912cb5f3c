"""A metric over time, of one model or of several, such as the live one and the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TypeAlias

import polars as pl

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.scatter import Scatter
from tidemill.drawing.svg import Hue
from tidemill.models.charts.named_frames import OneFrame, limited
from tidemill.models.charts.phrases import between, percent, read_aloud
from tidemill.models.given_frames import given_frame
from tidemill.models.mean_intervals import mean_of
from tidemill.models.metric import Metric
from tidemill.models.metrics import scores
from tidemill.workflow.gate import Daily, Scores
from tidemill.workflow.score_charts import HUES

Series: TypeAlias = OneFrame | Scores
# The daily values beside the line are drawn as dots, as long as they can be told apart.
_DOTS = 400


def over_time(
    models: Series | Mapping[str, Series],
    metric: str | pl.Expr | Metric,
    *,
    day: str = "date",
    window: int = 7,
    confidence: float = 0.95,
    title: str = "",
) -> Chart:
    """Draw a metric of each day as dots, and its mean over the last `window` days as a line with a band.

    `models` is one model or a mapping of names to several, such as the live one and the baseline: scores
    with daily figures (`metric` is a name), or scored rows (`metric` is one of `tm.metrics` or an
    expression, `day` the column of days). The band is the interval of the mean over the days of a window;
    there is none with fewer than three of them. Raises UsageError for a day that isn't a date.
    """
    given = limited(models, "over_time") if isinstance(models, Mapping) else {"": models}
    name = metric.name if isinstance(metric, Metric) else metric if isinstance(metric, str) else ""
    layers, spoken, left_out = list[PanelLayer](), list[str](), 0
    for hue, (model, each) in zip(HUES, given.items(), strict=False):
        days, values = _figures(each, metric, day)
        means = list(_rolling(values, window, confidence))
        if window > 1 and len(values) <= _DOTS:
            layers.append(Scatter(x=days, y=values, hue=hue, radius=2))
        layers.append(_line(model, hue, days, means))
        left_out += sum(not math.isfinite(value) for value in values)
        spoken += [f"{model or 'model'}: {between(*means[-1])}"] if means else []
    what = f"mean of the last {window} days with its {percent(confidence)} interval over days; dots are days"
    return Chart(
        title=title or f"{name or 'metric'} over time",
        subtitle=what if window > 1 else "each day",
        drawing=draw_panel(
            layers, x=Axis(label="day", measure=Measure.DAY), y=Axis(label=name or "metric")
        ),
        description=read_aloud(f"{name or 'metric'} over time, at the end:", spoken),
        notes=(f"No finite value on {plural(left_out, 'day')}.",) if left_out else (),
    )


def _line(model: str, hue: Hue, days: list[float], means: list[tuple[float, float, float]]) -> Line:
    return Line(
        x=days,
        y=[mean for mean, _, _ in means],
        low=[low for _, low, _ in means],
        high=[high for _, _, high in means],
        name=model,
        hue=hue,
        dashed=hue is not HUES[0],
        dots=False,
    )


def _figures(
    each: Series, metric: str | pl.Expr | Metric, day: str
) -> tuple[list[float], list[float]]:
    """The days in Unix seconds, and the value of each."""
    if isinstance(each, Scores):
        name = metric.name if isinstance(metric, Metric) else metric
        if not isinstance(name, str) or name not in each.metrics:
            raise UsageError(
                f"over_time() of scores takes the name of a metric: {', '.join(each.metrics)}"
            )
        if each.daily is None:
            raise UsageError(
                "over_time() needs the figures of each day: tm.scores(..., day='date')"
            )
        return _points(each.daily, name)
    if isinstance(metric, str):
        raise UsageError(
            f"over_time() of scored rows takes tm.metrics.{metric}(label), or an expression, not a name"
        )
    table = given_frame(each, "over_time").collect()
    if day not in table.columns:
        advice = did_you_mean(day, table.columns)
        raise UsageError(f"over_time(day={day!r}): there is no such column ({advice})")
    known = metric if isinstance(metric, Metric) else Metric(name="metric", expression=metric)
    found = scores(table.lazy(), known, day=day)
    assert found.daily is not None
    return _points(found.daily, known.name)


def _points(daily: Daily, name: str) -> tuple[list[float], list[float]]:
    return [_seconds(day) for day in daily.days], list(daily.metrics[name])


def _seconds(day: str) -> float:
    try:
        at = date.fromisoformat(day)
    except ValueError:
        raise UsageError(
            f"over_time() needs days that are dates such as 2026-01-31, not {day!r}"
        ) from None
    return datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()


def _rolling(
    values: Sequence[float], window: int, confidence: float
) -> Iterator[tuple[float, float, float]]:
    """The mean of the last days up to each, with its interval; a day without a value is a gap."""
    for end, value in enumerate(values, 1):
        known = [v for v in values[max(end - window, 0) : end] if math.isfinite(v)]
        mean, low, high = mean_of(known, confidence)
        if not math.isfinite(value):
            yield math.nan, math.nan, math.nan
        elif len(known) < 3:
            yield mean, math.nan, math.nan
        else:
            yield mean, low, high
