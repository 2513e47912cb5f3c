"""Histograms: bars between edges, filled or as an outline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import Swatch, hint, is_finite
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Hue, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Heights between `edges`, of which there is one more; bars begin at zero.

    Where bins differ in width, heights must be densities, or wide bins look too heavy. A bin without
    finite edges and height is left out.
    """

    edges: Sequence[float]
    heights: Sequence[float]
    name: str = ""
    hue: Hue = Hue.BLUE
    outline: bool = False
    hints: Sequence[str] = ()

    @property
    def swatch(self) -> Swatch:
        return Swatch.LINE if self.outline else Swatch.AREA

    def horizontal(self) -> Sequence[float]:
        return self.edges

    def vertical(self) -> Sequence[float]:
        return [0.0, *self.heights]

    def markup(self, x: Scale, y: Scale) -> str:
        """A bar of each bin, or one outline of all."""
        known = [
            (x.at(left), x.at(right), y.at(height), self.hints[i] if self.hints else "")
            for i, ((left, right), height) in enumerate(
                zip(pairwise(self.edges), self.heights, strict=True)
            )
            if is_finite(left, right, height)
        ]
        if self.outline:
            return _outline(known, y.at(0.0))
        return "".join(_bar(*bin_, y.at(0.0)) for bin_ in known)


def _bar(left: float, right: float, top: float, content: str, base: float) -> str:
    # A gap between bars that are wide enough for it.
    gap = 1.0 if right - left > 4 else 0.0
    return (
        f'<rect class="fill" x="{number(left + gap / 2)}" y="{number(min(top, base))}"'
        f' width="{number(max(right - left - gap, 0.5))}" height="{number(abs(base - top))}">'
        f"{hint(content)}</rect>"
    )


def _outline(bins: Sequence[tuple[float, float, float, str]], base: float) -> str:
    """A line over the tops of the bins, which falls to the base where a bin is missing."""
    parts, end = list[str](), None
    for left, right, top, _ in bins:
        if left != end:
            parts.append(f"{f'V{number(base)}' if parts else ''}M{number(left)} {number(base)}")
        parts.append(f"V{number(top)}H{number(right)}")
        end = right
    if not parts:
        return ""
    return f'<path class="line" d="{"".join(parts)}V{number(base)}"/>'
