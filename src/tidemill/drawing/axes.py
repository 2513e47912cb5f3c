"""Axes of a plot: grid lines, tick labels that don't touch each other, and titles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.scale import Scale, Tick, number_scale, percent_label
from tidemill.drawing.svg import SMALL_SIZE, number, text
from tidemill.drawing.text import escaped, shortened, text_width
from tidemill.drawing.time_scale import time_scale

TICK_GAP, LINE_HEIGHT = 6.0, 15.0
_BETWEEN_LABELS = 8.0
# Labels beside each other need more room than those above each other.
ACROSS, UPWARD = 80.0, 48.0


class Measure(Enum):
    """The kind of the values of an axis: numbers, shares to be written as percent, or Unix seconds.

    A DAY is the Unix second at which it begins in UTC.
    """

    NUMBER = "number"
    SHARE = "share"
    TIME = "time"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The range of an axis; `zero` includes zero, `low` and `high` are values that it must reach.

    It continues by the share `padding` beyond the other values.
    """

    label: str = ""
    measure: Measure = Measure.NUMBER
    zero: bool = False
    low: float | None = None
    high: float | None = None
    padding: float = 0.04

    def scale(self, values: Iterable[float | None], pixels: float, apart: float = ACROSS) -> Scale:
        """A scale over the values, with about as many ticks as have room, `apart` pixels from each other."""
        count = int(min(max(pixels / apart, 4), 8))
        if self.measure in (Measure.TIME, Measure.DAY):
            days = self.measure is Measure.DAY
            return time_scale([*values, self.low, self.high], count=count, whole_days=days)
        label = percent_label if self.measure is Measure.SHARE else None
        return number_scale(
            values,
            zero=self.zero,
            low=self.low,
            high=self.high,
            padding=self.padding,
            count=count,
            label=label,
        )


def tick_width(scale: Scale) -> float:
    """The width of the widest tick label, in pixels."""
    return max((text_width(tick.label, SMALL_SIZE) for tick in scale.ticks), default=0.0)


def bottom_height(scale: Scale, axis: Axis) -> float:
    """The height of what is below a horizontal axis."""
    lines = 1 + any(tick.note for tick in scale.ticks) + bool(axis.label)
    return TICK_GAP + lines * LINE_HEIGHT


def horizontal_axis(scale: Scale, axis: Axis, top: float, bottom: float) -> str:
    """Grid lines from `top` to `bottom`, the labels of the ticks below them, and the title at the end."""
    shown = _label_ticks(scale)
    lines = [
        f'<path class="grid" d="M{number(scale.at(tick.value))} {number(top)}V{number(bottom)}"/>'
        for tick in scale.ticks
    ]
    baseline = bottom + TICK_GAP + SMALL_SIZE - 2
    labels = [_middle(tick.label, scale.at(tick.value), baseline) for tick in shown]
    notes = [
        _middle(tick.note, scale.at(tick.value), baseline + LINE_HEIGHT)
        for tick in _notes_apart(scale)
    ]
    if axis.label:
        y = bottom + bottom_height(scale, axis) - 4
        labels.append(
            f'<text class="name" x="{number(scale.end)}" y="{number(y)}" text-anchor="end">'
            f"{_title(axis.label, scale.end - scale.start)}</text>"
        )
    return "".join([*lines, *labels, *notes])


def vertical_axis(scale: Scale, left: float, right: float) -> str:
    """Grid lines from `left` to `right`, and the labels of the ticks to the left of them."""
    parts = list[str]()
    for tick in scale.ticks:
        y = scale.at(tick.value)
        parts.append(f'<path class="grid" d="M{number(left)} {number(y)}H{number(right)}"/>')
        parts.append(
            f'<text class="tick" x="{number(left - TICK_GAP)}" y="{number(y + SMALL_SIZE / 3)}"'
            f' text-anchor="end">{_title(tick.label, right)}</text>'
        )
    return "".join(parts)


def axis_title(label: str, x: float, y: float, width: float) -> str:
    """The title of a vertical axis: a line above it, which is easier to read than turned text."""
    return text(label, x, y, kind="name", size=SMALL_SIZE, width=width)


def _title(label: str, width: float) -> str:
    return escaped(shortened(label, max(width, 0.0), SMALL_SIZE))


def _middle(label: str, x: float, y: float) -> str:
    return text(label, x, y, kind="tick", size=SMALL_SIZE, width=200, middle=True)


def _label_ticks(scale: Scale) -> Sequence[Tick]:
    """Every tick, or every second, third and so on, so that labels don't touch."""
    choices = (scale.ticks[::every] for every in range(1, len(scale.ticks) + 1))
    return next(
        (
            kept
            for kept in choices
            if _have_room(scale, [(tick.value, tick.label) for tick in kept])
        ),
        (),
    )


def _notes_apart(scale: Scale) -> Sequence[Tick]:
    """The ticks with notes; a note that would touch the one before it is left out."""
    kept = list[Tick]()
    for tick in scale.ticks:
        pair = [(each.value, each.note) for each in (*kept[-1:], tick)]
        if tick.note and _have_room(scale, pair):
            kept.append(tick)
    return kept


def _have_room(scale: Scale, labels: Sequence[tuple[float, str]]) -> bool:
    ends = [
        (scale.at(value), text_width(label, SMALL_SIZE) / 2 + _BETWEEN_LABELS / 2)
        for value, label in labels
    ]
    return all(x + half <= other - others for (x, half), (other, others) in pairwise(ends))
