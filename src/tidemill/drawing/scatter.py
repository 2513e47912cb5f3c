"""Points with intervals; many points as a grid of cells that shows how dense they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import Swatch, circle, is_finite
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Hue, number

# More points than this are counted in cells, which are as large as needed to have at most so many.
_MOST = 2_000
_CELLS = (3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Points; `low` and `high` are the ends of vertical intervals, or empty.

    Points of which a coordinate isn't finite are left out.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    name: str = ""
    hue: Hue = Hue.BLUE
    radius: float = 3.5
    hints: Sequence[str] = ()

    @property
    def swatch(self) -> Swatch:
        return Swatch.DOT

    def horizontal(self) -> Sequence[float]:
        return self.x

    def vertical(self) -> Sequence[float]:
        return [*self.y, *self.low, *self.high]

    def markup(self, x: Scale, y: Scale) -> str:
        """Dots over their intervals, or cells."""
        known = [i for i in range(len(self.x)) if is_finite(self.x[i], self.y[i])]
        places = [(x.at(self.x[i]), y.at(self.y[i])) for i in known]
        if len(places) > _MOST:
            return _cells(places)
        intervals = [
            whisker(x.at(self.x[i]), y.at(self.low[i]), y.at(self.high[i]))
            for i in known
            if self.low and is_finite(self.low[i], self.high[i])
        ]
        dots = [
            circle(across, up, self.radius, self.hints[i] if self.hints else "")
            for i, (across, up) in zip(known, places, strict=True)
        ]
        return "".join([*intervals, *dots])


def whisker(x: float, low: float, high: float) -> str:
    """A vertical interval with caps."""
    left, across = number(x - 3), number(6)
    return (
        f'<path class="whisker" d="M{number(x)} {number(low)}V{number(high)}'
        f'M{left} {number(low)}h{across}M{left} {number(high)}h{across}"/>'
    )


def _cells(places: Sequence[tuple[float, float]]) -> str:
    """Squares, the darker the more points are in them, on a logarithmic scale."""
    grids = (
        (size, Counter((int(x // size), int(y // size)) for x, y in places)) for size in _CELLS
    )
    size, counts = next(grid for grid in grids if len(grid[1]) <= _MOST or grid[0] == _CELLS[-1])
    most = log(1 + max(counts.values()))
    return "".join(
        f'<rect class="cell" x="{column * size}" y="{row * size}" width="{size}" height="{size}"'
        f' opacity="{0.15 + 0.85 * log(1 + count) / most:.2f}"/>'
        for (column, row), count in sorted(counts.items())
    )
