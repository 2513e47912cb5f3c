"""Draw numbers of the scorecard from documents of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.console.page_series import PageSeries, SeriesChart, SeriesLine, day_times
from tidemill.drawing.svg import Hue
from tidemill.scorecard.number_plot import NumberPlot, plot_chart


def number_chart(document: Mapping[str, Any] | None) -> SeriesChart | None:
    """Draw a plot of a number, if there is one."""
    if document is None:
        return None
    plot = NumberPlot(**document)
    texts = tuple(hint.partition(": ")[2] for hint in plot.hints)
    lines = [SeriesLine(name="each week", values=tuple(plot.values), texts=texts)]
    if plot.target is not None:
        goal = (plot.target,) * len(plot.days)
        lines.append(SeriesLine(name="target", values=goal, hue=Hue.AMBER, is_reference=True))
    series = PageSeries(
        label=plot.label,
        times=day_times(plot.days) or (),
        lines=tuple(lines),
        is_share=plot.is_share,
        from_zero=not plot.is_share,
    )
    return SeriesChart(chart=plot_chart(plot), series=series)
