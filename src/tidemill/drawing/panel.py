"""A panel: layers on two axes, with a legend."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.drawing.axes import (
    TICK_GAP,
    UPWARD,
    Axis,
    axis_title,
    bottom_height,
    horizontal_axis,
    tick_width,
    vertical_axis,
)
from tidemill.drawing.layer import PanelLayer, Swatch, is_finite
from tidemill.drawing.svg import SMALL_SIZE, Drawing, Hue, number, text
from tidemill.drawing.text import plain_line, text_width

WIDTH, HEIGHT = 560.0, 260.0
_LEGEND_LINE, _SWATCH, _SWATCH_GAP, _ENTRY_GAP = 20.0, 18.0, 6.0, 18.0
_TITLE_LINE = 20.0
_OVERHANG = 16.0
_LINES = {Swatch.LINE: "line", Swatch.DASHES: "dashed line", Swatch.REFERENCE: "reference"}


def draw_panel(
    layers: Sequence[PanelLayer], *, x: Axis, y: Axis, width: float = WIDTH, height: float = HEIGHT
) -> Drawing:
    """Draw layers, the first one lowest; `height` is that of the area between the axes."""
    key = legend([(layer.name, layer.hue, layer.swatch) for layer in layers if layer.name], width)
    vertical = y.scale([v for layer in layers for v in layer.vertical()], height, UPWARD)
    left = tick_width(vertical) + TICK_GAP
    across = x.scale([v for layer in layers for v in layer.horizontal()], width - left)
    across = across.between(left, width - _OVERHANG)
    top = key.height + (_TITLE_LINE if y.label else 0.0) + SMALL_SIZE / 2
    vertical = vertical.between(top + height, top)
    parts = [key.markup]
    if y.label:
        parts.append(axis_title(y.label, 0, key.height + SMALL_SIZE, width))
    parts += [
        vertical_axis(vertical, left, width - _OVERHANG),
        horizontal_axis(across, x, top, top + height),
        *(f'<g class="{layer.hue}">{layer.markup(across, vertical)}</g>' for layer in layers),
    ]
    if not any(map(_has_values, layers)):
        parts.append(no_data((left + width - _OVERHANG) / 2, top + height / 2))
    return Drawing(
        width=width, height=top + height + bottom_height(across, x), markup="".join(parts)
    )


def legend(entries: Sequence[tuple[str, Hue, Swatch]], width: float) -> Drawing:
    """The names of several layers, in as many lines as they need; one name alone needs no legend."""
    if len(entries) < 2:
        return Drawing(width=0, height=0, markup="")
    parts, left, row = list[str](), 0.0, 0
    for name, hue, swatch in entries:
        room = width - _SWATCH - _SWATCH_GAP
        wide = min(text_width(plain_line(name), SMALL_SIZE), room)
        if left and left + _SWATCH + _SWATCH_GAP + wide > width:
            left, row = 0.0, row + 1
        y = row * _LEGEND_LINE + SMALL_SIZE
        parts.append(f'<g class="{hue}">{_swatch(swatch, left, y - 4)}</g>')
        at = left + _SWATCH + _SWATCH_GAP
        parts.append(text(name, at, y, kind="name", size=SMALL_SIZE, width=room))
        left = at + wide + _ENTRY_GAP
    return Drawing(width=width, height=(row + 1) * _LEGEND_LINE + 4, markup="".join(parts))


def no_data(x: float, y: float) -> str:
    """A sentence in place of values."""
    return text("no data", x, y, kind="empty", size=SMALL_SIZE, width=200, middle=True)


def _has_values(layer: PanelLayer) -> bool:
    return any(is_finite(v) for v in layer.vertical()) and any(
        is_finite(v) for v in layer.horizontal()
    )


def _swatch(swatch: Swatch, x: float, y: float) -> str:
    if swatch in (Swatch.DOT, Swatch.RING):
        css = "dot" if swatch is Swatch.DOT else "hollow"
        return f'<circle class="{css}" cx="{number(x + _SWATCH / 2)}" cy="{number(y)}" r="4"/>'
    if swatch in (Swatch.AREA, Swatch.BAR):
        css = "fill" if swatch is Swatch.AREA else "solid"
        return f'<rect class="{css}" x="{number(x)}" y="{number(y - 5)}" width="{_SWATCH}" height="10"/>'
    return f'<path class="{_LINES[swatch]}" d="M{number(x)} {number(y)}h{_SWATCH}"/>'
