"""Bar charts: horizontal bars that begin at zero."""

from __future__ import annotations

from dataclasses import replace

from tidemill.drawing.layer import Swatch
from tidemill.drawing.rows import Measured, RowChart, RowSeries, draw_rows, horizontal_whisker
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Drawing, number


def draw_bars(chart: RowChart) -> Drawing:
    """Draw a bar of each value with its interval; the axis always includes zero."""
    return draw_rows(replace(chart, axis=replace(chart.axis, zero=True)), Swatch.AREA, _bar)


def _bar(value: Measured, series: RowSeries, scale: Scale, y: float, lane: float) -> str:
    ends = sorted((scale.at(0.0), scale.at(value.value)))
    css = "hollow" if series.hollow else "fill"
    return (
        f'<rect class="{css}" x="{number(ends[0])}" y="{number(y - lane / 2 + 0.5)}"'
        f' width="{number(max(ends[1] - ends[0], 0.5))}" height="{number(lane - 1)}"/>'
        f"{horizontal_whisker(value, scale, y)}"
    )
