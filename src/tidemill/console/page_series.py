"""Numbers over time: drawn by the server, and as data with which a script lets people look closer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import nan

from tidemill.core.json_values import to_json_values
from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.svg import Hue
from tidemill.drawing.text import plain_line
from tidemill.drawing.upright_bars import UprightBars

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLine:
    """A value for each time (None: unknown), and how it is written; "" for one that isn't worth a word.

    A reference has one value for all times, to compare with, which isn't written.
    """

    name: str
    values: tuple[float | None, ...]
    texts: tuple[str, ...] = ()
    hue: Hue = Hue.BLUE
    is_reference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSeries:
    """Lines over `times` in Unix seconds, which are the beginnings of days in UTC if they are days.

    The values are in the unit `label`; shares are from 0 to 1. `from_zero` draws all from zero. If lines
    `are_stacked`, bars of each day stand on each other, and `totals` is how their sums are written.
    """

    label: str
    times: tuple[float, ...]
    lines: tuple[SeriesLine, ...]
    are_days: bool = True
    is_share: bool = False
    from_zero: bool = False
    are_stacked: bool = False
    totals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesChart:
    """A chart, and the series that it draws."""

    chart: Chart
    series: PageSeries


def draw_series(
    series: PageSeries, *, title: str, subtitle: str = "", description: str = ""
) -> SeriesChart:
    """Draw a series in a panel, as lines or as bars that stand on each other."""
    drawing = draw_panel(
        [*(_bars(series) if series.are_stacked else _lines(series))],
        x=Axis(measure=Measure.DAY if series.are_days else Measure.TIME, padding=0.02),
        y=Axis(
            label=series.label,
            measure=Measure.SHARE if series.is_share else Measure.NUMBER,
            zero=series.from_zero,
        ),
        height=180,
    )
    chart = Chart(title=title, subtitle=subtitle, drawing=drawing, description=description)
    return SeriesChart(chart=chart, series=series)


def _lines(series: PageSeries) -> Iterator[PanelLayer]:
    for line in series.lines:
        known = [nan if value is None else value for value in line.values]
        yield Line(x=series.times, y=known, name=line.name, hue=line.hue, hints=line.texts)


def _bars(series: PageSeries) -> Iterator[PanelLayer]:
    below = [0.0] * len(series.times)
    for line in series.lines:
        above = [low + (value or 0.0) for low, value in zip(below, line.values, strict=True)]
        hints = [f"{line.name}: {text}" for text in line.texts]
        yield UprightBars(
            x=series.times,
            low=below,
            high=above,
            step=_DAY,
            name=line.name,
            hue=line.hue,
            hints=hints,
        )
        below = above


def day_times(days: Sequence[str]) -> tuple[float, ...] | None:
    """The beginnings of days in Unix seconds; None if one isn't a date."""
    try:
        return tuple(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in days)
    except ValueError:
        return None


def series_json(series: PageSeries) -> str:
    """A series for the script of pages, whose texts can't hide or turn around others."""
    document = to_json_values(series)
    for line in document["lines"]:
        line["name"] = plain_line(line["name"])
        line["texts"] = [*map(plain_line, line["texts"])]
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
