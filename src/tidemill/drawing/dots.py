"""Dot plots: values with intervals on an axis that need not include zero."""

from __future__ import annotations

from tidemill.drawing.layer import Swatch
from tidemill.drawing.rows import Measured, RowChart, RowSeries, draw_rows, horizontal_whisker
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Drawing, number


def draw_dots(chart: RowChart) -> Drawing:
    """Draw a dot of each value over its interval."""
    return draw_rows(chart, Swatch.DOT, _dot)


def _dot(value: Measured, series: RowSeries, scale: Scale, y: float, lane: float) -> str:
    css, radius = "hollow" if series.hollow else "dot", min(4.0, lane / 2)
    return (
        f"{horizontal_whisker(value, scale, y)}"
        f'<circle class="{css}" cx="{number(scale.at(value.value))}" cy="{number(y)}"'
        f' r="{number(radius)}"/>'
    )
