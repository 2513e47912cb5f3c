"""Rows with a label each, above one horizontal axis: what bar charts and dot plots share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, bottom_height, horizontal_axis
from tidemill.drawing.layer import Swatch, hint, is_finite
from tidemill.drawing.panel import WIDTH, legend, no_data
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import SMALL_SIZE, Drawing, Hue, number
from tidemill.drawing.text import escaped, plain_line, shortened, text_width

_LABEL_SIZE = 12.0
_LANE, _BETWEEN_ROWS, _GAP, _OVERHANG = 13.0, 9.0, 10.0, 16.0
# The labels of rows, and the notes, take at most these shares of the width.
_LABELS, _NOTES = 0.36, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value with the ends of its interval, if they are known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """A label, a value of each series (None: it has none), and a note at the right."""

    label: str
    values: Sequence[Measured | None]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSeries:
    """The name of a series, and how its values look."""

    name: str = ""
    hue: Hue = Hue.BLUE
    hollow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerLine:
    """A vertical line through all rows, such as an overall value."""

    value: float
    name: str = ""
    hue: Hue = Hue.GREY


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChart:
    """Rows, what their values are called, the axis, and lines to compare with."""

    rows: Sequence[LabelledRow]
    series: Sequence[RowSeries] = (RowSeries(),)
    axis: Axis = field(default_factory=Axis)
    markers: Sequence[MarkerLine] = ()
    width: float = WIDTH

    def numbers(self) -> Iterator[float | None]:
        """All values, ends of intervals and markers."""
        for row in self.rows:
            for each in row.values:
                if each is not None:
                    yield from (each.value, each.low, each.high)
        yield from (marker.value for marker in self.markers)


# Draws a value of a series at the middle of its lane, which is so high.
DrawValue = Callable[[Measured, RowSeries, Scale, float, float], str]


def draw_rows(chart: RowChart, swatch: Swatch, draw: DrawValue, *, lane: float = _LANE) -> Drawing:
    """Draw the values of each row with `draw`, one below the other."""
    entries = [(one.name, one.hue, _swatch(one, swatch)) for one in chart.series if one.name]
    entries += [(one.name, one.hue, Swatch.REFERENCE) for one in chart.markers if one.name]
    key = legend(entries, chart.width)
    left = _widest([row.label for row in chart.rows], _LABEL_SIZE, chart.width * _LABELS) + _GAP
    notes = _widest([row.note for row in chart.rows], SMALL_SIZE, chart.width * _NOTES)
    right = chart.width - max(_OVERHANG, notes + _GAP)
    height = lane * len(chart.series) + _BETWEEN_ROWS
    bottom = key.height + height * max(len(chart.rows), 2)
    scale = chart.axis.scale(chart.numbers(), right - left).between(left, right)
    parts = [key.markup, horizontal_axis(scale, chart.axis, key.height, bottom)]
    if chart.axis.zero and scale.low <= 0 <= scale.high:
        at = number(scale.at(0.0))
        parts.append(f'<path class="zero" d="M{at} {number(key.height)}V{number(bottom)}"/>')
    parts += [_line(marker, scale, key.height, bottom) for marker in chart.markers]
    for n, row in enumerate(chart.rows):
        top = key.height + n * height
        parts.append(_texts(row, top + height / 2, left - _GAP, right + _GAP, notes))
        parts += [
            f'<g class="{one.hue}"><g>{hint(_hint(row, one, each))}'
            f"{draw(each, one, scale, top + _BETWEEN_ROWS / 2 + (i + 0.5) * lane, lane)}</g></g>"
            for i, (each, one) in enumerate(zip(row.values, chart.series, strict=True))
            if each is not None and is_finite(each.value)
        ]
    if not any(map(is_finite, chart.numbers())):
        parts.append(no_data((left + right) / 2, (key.height + bottom) / 2))
    return Drawing(
        width=chart.width,
        height=bottom + bottom_height(scale, chart.axis),
        markup="".join(parts),
    )


def horizontal_whisker(value: Measured, scale: Scale, y: float) -> str:
    """The interval of a value with caps; nothing if it isn't known."""
    if value.low is None or value.high is None or not is_finite(value.low, value.high):
        return ""
    left, right = number(scale.at(value.low)), number(scale.at(value.high))
    top, size = number(y - 3), number(6)
    return (
        f'<path class="whisker" d="M{left} {number(y)}H{right}'
        f'M{left} {top}v{size}M{right} {top}v{size}"/>'
    )


def _swatch(series: RowSeries, swatch: Swatch) -> Swatch:
    return Swatch.RING if series.hollow and swatch is Swatch.DOT else swatch


def _texts(row: LabelledRow, middle: float, end: float, start: float, room: float) -> str:
    y = number(middle + SMALL_SIZE / 3)
    label = (
        f'<text class="label" x="{number(end)}" y="{y}" text-anchor="end">'
        f"{hint(row.label)}{escaped(shortened(row.label, end + 0.5, _LABEL_SIZE))}</text>"
    )
    if not row.note:
        return label
    shown = escaped(shortened(row.note, room + 0.5, SMALL_SIZE))
    return f'{label}<text class="tick" x="{number(start)}" y="{y}">{shown}</text>'


def _line(marker: MarkerLine, scale: Scale, top: float, bottom: float) -> str:
    if not is_finite(marker.value):
        return ""
    at = number(scale.at(marker.value))
    return (
        f'<g class="{marker.hue}">'
        f'<path class="reference" d="M{at} {number(top)}V{number(bottom)}"/></g>'
    )


def _hint(row: LabelledRow, series: RowSeries, each: Measured) -> str:
    name = f"{row.label}, {series.name}" if series.name else row.label
    between = (
        f" ({each.low:.4g} to {each.high:.4g})"
        if each.low is not None and each.high is not None
        else ""
    )
    return f"{name}: {each.value:.4g}{between}"


def _widest(lines: Sequence[str], size: float, most: float) -> float:
    # Some fonts are wider than estimated.
    widest = max((text_width(plain_line(line), size) for line in lines), default=0.0)
    return min(widest * 1.08, most)
