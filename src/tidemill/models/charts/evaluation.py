"""The charts of an evaluation's recorded scores: by day, by slice, and the recorded curves."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from tidemill.drawing.chart import Chart
from tidemill.models.charts.slices import slices
from tidemill.workflow.gate import Scores
from tidemill.workflow.score_charts import curve_chart, daily_chart


def evaluation_charts(stage: str, scores: Scores) -> Iterator[Chart]:
    """What can be drawn of the first metric that is a number, and of each curve."""
    metric = next((name for name, value in scores.metrics.items() if isfinite(value)), "")
    if metric and scores.daily is not None and metric in scores.daily.metrics:
        yield daily_chart(scores, metric).under(stage)
    if metric and scores.slices:
        yield slices(scores, metric).under(stage)
    for name in scores.curves:
        yield curve_chart({"": scores}, name).under(stage)
