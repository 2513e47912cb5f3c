"""What can be drawn into a panel: a layer, and helpers that layers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import groupby
from math import isfinite
from typing import Protocol

from tidemill.drawing.scale import Scale
from tidemill.drawing.svg import Hue, number
from tidemill.drawing.text import escaped


class Swatch(Enum):
    """How the legend shows a layer."""

    LINE = "line"
    DASHES = "dashes"
    REFERENCE = "reference"
    DOT = "dot"
    RING = "ring"
    AREA = "area"
    BAR = "bar"


class PanelLayer(Protocol):
    """One set of values in a panel. Its `name` is in the legend, if it has one."""

    @property
    def name(self) -> str: ...
    @property
    def hue(self) -> Hue: ...
    @property
    def swatch(self) -> Swatch: ...

    def horizontal(self) -> Sequence[float | None]:
        """The values that the horizontal axis must reach."""

    def vertical(self) -> Sequence[float | None]:
        """The values that the vertical axis must reach."""

    def markup(self, x: Scale, y: Scale) -> str:
        """The layer as SVG elements."""


def is_finite(*values: float | None) -> bool:
    """Whether all values are finite numbers."""
    return all(value is not None and isfinite(value) for value in values)


def finite_runs(*columns: Sequence[float]) -> Iterator[list[tuple[float, ...]]]:
    """The stretches of rows in which every column is finite."""
    rows = zip(*columns, strict=True)
    for whole, run in groupby(rows, lambda row: is_finite(*row)):
        if whole:
            yield list(run)


def hint(content: str) -> str:
    """Return the tooltip of an element."""
    return f"<title>{escaped(content)}</title>" if content else ""


def circle(x: float, y: float, radius: float, content: str = "") -> str:
    """A dot with a hint."""
    return (
        f'<circle class="dot" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}">'
        f"{hint(content)}</circle>"
    )
