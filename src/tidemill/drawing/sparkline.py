"""Draw a line without axes that is as small as a word."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import circle, finite_runs
from tidemill.drawing.line import path, thinned
from tidemill.drawing.scale import finite
from tidemill.drawing.svg import Drawing, Hue, number

# The line ends before the border, so that its end has room for a dot.
_INSET, _DOT, _POINT = 3.0, 2.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """Values at equal distances, None where one is missing, and what they should be."""

    values: Sequence[float | None]
    target: float | None = None
    hue: Hue = Hue.BLUE
    width: float = 96.0
    height: float = 20.0


def draw_sparkline(sparkline: Sparkline) -> Drawing:
    """Draw a line with gaps, a dot at its last value, and a dashed line at the target."""
    # Values beyond what can be drawn are at the border.
    values = [nan if value is None or not isfinite(value) else value for value in sparkline.values]
    known = finite([*values, sparkline.target])
    low, high = min(known, default=0.0), max(known, default=0.0)
    across = (sparkline.width - 2 * _INSET) / max(len(values) - 1, 1)
    up = sparkline.height - 2 * _INSET

    def at(value: float) -> float:
        # Values that are all equal are in the middle.
        share = (min(max(value, low), high) - low) / (high - low) if low < high else 0.5
        return _INSET + (1 - share) * up

    parts = list[str]()
    if sparkline.target is not None and isfinite(sparkline.target):
        y = number(at(sparkline.target))
        parts.append(f'<path class="target" d="M0 {y}H{number(sparkline.width)}"/>')
    # One value alone is the last one.
    end = sparkline.width - _INSET - across * (len(values) - 1)
    places = [(end + n * across, at(v) if isfinite(v) else nan) for n, v in enumerate(values)]
    runs = [[(x, y) for x, y in run] for run in finite_runs(*zip(*places, strict=True))]
    for run in runs:
        if len(run) > 1:
            parts.append(f'<path class="spark" d="{path(thinned(run))}"/>')
        else:
            parts.append(circle(*run[0], _POINT))
    if runs:
        parts.append(circle(*runs[-1][-1], _DOT))
    return Drawing(
        width=sparkline.width,
        height=sparkline.height,
        markup=f'<g class="{sparkline.hue}">{"".join(parts)}</g>',
    )
