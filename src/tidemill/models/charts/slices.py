"""Compare models slice by slice: a metric of each, with intervals where daily figures are known."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.drawing.axes import Axis
from tidemill.drawing.chart import Chart
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.rows import LabelledRow, MarkerLine, Measured, RowChart, RowSeries
from tidemill.models.charts.named_frames import limited
from tidemill.models.charts.phrases import between, percent, read_aloud
from tidemill.models.intervals import metric_estimate
from tidemill.workflow.gate import Goal, Scores, Slice
from tidemill.workflow.score_charts import HUES

MOST_SLICES = 30
_BEST = {Goal.LOW: "lower is better", Goal.HIGH: "higher is better", Goal.ZERO: "best at zero"}


def slices(
    models: Scores | Mapping[str, Scores],
    metric: str = "",
    *,
    confidence: float = 0.95,
    title: str = "",
) -> Chart:
    """Draw a metric of each slice as a dot with its interval, and overall values as lines.

    `models` are the scores of one model, or a mapping of names to scores of several, split by the same
    column; `metric` is the first of theirs if it isn't given. Intervals need daily figures of at least 14
    days. Of many slices, those with the most rows are drawn.
    """
    given = limited(models, "slices") if isinstance(models, Mapping) else {"": models}
    first = next(iter(given.values()))
    metric = metric or next(iter(first.metrics), "")
    for scores in given.values():
        if metric not in scores.metrics:
            raise UsageError(
                f"slices() draws a metric of {', '.join(scores.metrics)}, not {metric!r}"
            )
    sizes = {part.value: part.rows for part in first.slices}
    kept = sorted(sizes, key=lambda value: (-sizes[value], value))[:MOST_SLICES]
    parts = [{part.value: part for part in scores.slices} for scores in given.values()]
    rows = [
        LabelledRow(
            label=value,
            values=[
                _measured(scores, each.get(value), metric, confidence)
                for scores, each in zip(given.values(), parts, strict=True)
            ],
            note=plural(sizes[value], "row"),
        )
        for value in sizes
        if value in kept
    ]
    has_intervals = any(
        each is not None and each.low is not None for row in rows for each in row.values
    )
    whiskers = f"{percent(confidence)} intervals over days; " if has_intervals else ""
    hues = dict(zip(given, HUES, strict=False))
    return Chart(
        title=title or (f"{metric} by {first.by}" if first.by else metric),
        subtitle=f"{_BEST[first.goals.get(metric, Goal.LOW)]}; {whiskers}lines are overall values",
        drawing=draw_dots(
            RowChart(
                rows=rows,
                series=[
                    RowSeries(name=name, hue=hues[name], hollow=n > 0)
                    for n, name in enumerate(given)
                ],
                axis=Axis(label=metric),
                markers=[
                    MarkerLine(value=scores.metrics[metric], hue=hues[name])
                    for name, scores in given.items()
                ],
            )
        ),
        description=read_aloud(
            f"{metric} by {first.by or 'slice'}:", _row_texts(rows, list(given))
        ),
        notes=(f"The {len(kept)} slices with the most rows, of {len(sizes):,}.",)
        if len(sizes) > len(kept)
        else (),
    )


def _measured(
    scores: Scores, part: Slice | None, metric: str, confidence: float
) -> Measured | None:
    if part is None or metric not in part.metrics:
        return None
    estimate = metric_estimate(scores, metric, part)
    if estimate is None or not estimate.is_enough:
        return Measured(value=part.metrics[metric])
    interval = estimate.interval(confidence)
    return Measured(value=interval.value, low=interval.low, high=interval.high)


def _row_texts(rows: list[LabelledRow], names: list[str]) -> list[str]:
    return [
        f"{row.label}{f', {name}' if name else ''}: {between(each.value, each.low, each.high)}"
        for row in rows
        for name, each in zip(names, row.values, strict=True)
        if each is not None
    ]
