"""Upright bars over times, which may stand on others, such as the parts of what each day did cost."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.layer import Swatch, hint, is_finite
from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Hue, number

# The part of the distance between two bars that one fills.
_FILLED = 0.7
_MOST_PIXELS = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UprightBars:
    """A bar over each of `x`, which are `step` or more from each other, from `low` to `high`.

    `hints` are shown when a pointer rests on a bar.
    """

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    step: float
    name: str = ""
    hue: Hue = Hue.BLUE
    hints: Sequence[str] = ()

    @property
    def swatch(self) -> Swatch:
        return Swatch.BAR

    def horizontal(self) -> Sequence[float]:
        # The first and the last bar are wider than their middle.
        return [middle + part * self.step for middle in self.x for part in (-0.5, 0.5)]

    def vertical(self) -> Sequence[float]:
        return [*self.low, *self.high]

    def markup(self, x: Scale, y: Scale) -> str:
        """The bars that have a height."""
        parts = list[str]()
        hints = self.hints or [""] * len(self.x)
        for middle, low, high, text in zip(self.x, self.low, self.high, hints, strict=True):
            if not is_finite(middle, low, high) or high <= low:
                continue
            room = x.at(middle + self.step / 2) - x.at(middle - self.step / 2)
            wide = min(room * _FILLED, _MOST_PIXELS)
            parts.append(
                f'<rect class="solid" x="{number(x.at(middle) - wide / 2)}" y="{number(y.at(high))}"'
                f' width="{number(wide)}" height="{number(y.at(low) - y.at(high))}">{hint(text)}</rect>'
            )
        return "".join(parts)
