"""Lines with an interval band, reference lines, and the thinning of long lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import Swatch, circle, finite_runs
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Hue, number

# A line of at most so many points also shows them as dots.
_DOTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points in the order of `x`; where a value isn't finite, it has a gap.

    `low` and `high` are the ends of an interval at each point, or empty. `hints` are shown when a
    pointer rests on a point. `dots` draws the points of a short line.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    name: str = ""
    hue: Hue = Hue.BLUE
    dashed: bool = False
    dots: bool = True
    hints: Sequence[str] = ()

    @property
    def swatch(self) -> Swatch:
        return Swatch.DASHES if self.dashed else Swatch.LINE

    def horizontal(self) -> Sequence[float]:
        return self.x

    def vertical(self) -> Sequence[float]:
        return [*self.y, *self.low, *self.high]

    def markup(self, x: Scale, y: Scale) -> str:
        """The band, the line over it, and its points."""
        parts = [self._band(x, y)] if self.low else []
        css = "dashed line" if self.dashed else "line"
        for run in finite_runs(self.x, self.y):
            points = thinned([(x.at(across), y.at(up)) for across, up in run])
            if len(points) > 1:
                parts.append(f'<path class="{css}" d="{path(points)}"/>')
            elif not self.dots or len(self.x) > _DOTS:
                # A point between two gaps would be invisible.
                parts.append(circle(*points[0], 1.5))
        if self.dots and len(self.x) <= _DOTS:
            hints = self.hints or [f"{v:.4g}" for v in self.y]
            known = zip(self.x, self.y, hints, strict=True)
            parts += [
                circle(x.at(across), y.at(up), 2.5, shown)
                for across, up, shown in known
                if any(finite_runs([across], [up]))
            ]
        return "".join(parts)

    def _band(self, x: Scale, y: Scale) -> str:
        parts = list[str]()
        for run in finite_runs(self.x, self.low, self.high):
            upper = thinned([(x.at(across), y.at(high)) for across, _, high in run])
            lower = thinned([(x.at(across), y.at(low)) for across, low, _ in run])
            if len(run) > 1:
                parts.append(f'<path class="band" d="{path([*upper, *reversed(lower)])}z"/>')
            else:
                parts.append(f'<path class="whisker" d="{path([*lower, *upper])}"/>')
        return "".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLine:
    """A thin dashed line to compare with, from one point to another."""

    start: tuple[float, float]
    end: tuple[float, float]
    name: str = ""
    hue: Hue = Hue.GREY

    @property
    def swatch(self) -> Swatch:
        return Swatch.REFERENCE

    def horizontal(self) -> Sequence[float]:
        return (self.start[0], self.end[0])

    def vertical(self) -> Sequence[float]:
        return (self.start[1], self.end[1])

    def markup(self, x: Scale, y: Scale) -> str:
        """The line."""
        points = [(x.at(across), y.at(up)) for across, up in (self.start, self.end)]
        return f'<path class="reference" d="{path(points)}"/>'


def path(points: Sequence[tuple[float, float]]) -> str:
    """The data of a path through points; a point that falls on the one before it is left out."""
    shown = [f"{number(x)} {number(y)}" for x, y in points]
    return "M" + "L".join(each for each, _ in groupby(shown))


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that decide how a line looks: of each column of pixels the first, lowest, highest, last.

    Points that don't go from left to right, and short lines, stay as they are.
    """
    if len(points) <= 4 * _DOTS or any(b[0] < a[0] for a, b in pairwise(points)):
        return points
    kept = list[tuple[float, float]]()
    for _, column in groupby(points, lambda point: int(point[0])):
        members = list(column)
        chosen = {
            0,
            len(members) - 1,
            min(range(len(members)), key=lambda i: members[i][1]),
            max(range(len(members)), key=lambda i: members[i][1]),
        }
        kept += [members[i] for i in sorted(chosen)]
    return kept
