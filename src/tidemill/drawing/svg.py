"""SVG elements, and drawings as markup with a size."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import ceil

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.text import escaped, plain_line, shortened, text_width

LABEL_SIZE, SMALL_SIZE, TITLE_SIZE, SUBTITLE_SIZE = 13.0, 11.0, 15.0, 12.0
# How much wider bold text is.
BOLD = 1.15
_GUTTER, _WIDEST_CAPTION = 28.0, 400.0
_TITLE_HEIGHT, _SUBTITLE_HEIGHT = 26.0, 22.0


class Hue(StrEnum):
    """The colours that tell kinds of things apart, in light and dark."""

    BLUE = "blue"
    TEAL = "teal"
    VIOLET = "violet"
    AMBER = "amber"
    GREEN = "green"
    RED = "red"
    GREY = "grey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Markup with the size of the area that it covers, from the origin, in pixels."""

    width: float
    height: float
    markup: str


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    rounded = round(value, 1)
    whole = int(rounded)
    return str(whole) if whole == rounded else str(rounded)


def text(
    content: str, x: float, y: float, *, kind: str, size: float, width: float, middle: bool = False
) -> str:
    """One line of text of a CSS class, shortened to `width`; `y` is its baseline."""
    anchor = ' text-anchor="middle"' if middle else ""
    return (
        f'<text class="{kind}" x="{number(x)}" y="{number(y)}"{anchor}>'
        f"{escaped(shortened(content, width, size))}</text>"
    )


def translate(drawing: Drawing, x: float, y: float) -> str:
    """The markup of a drawing, shifted."""
    return f'<g transform="translate({number(x)} {number(y)})">{drawing.markup}</g>'


def captioned(drawing: Drawing, title: str, subtitle: str = "") -> Drawing:
    """The drawing, centred below a title and a second, smaller line."""
    top = _TITLE_HEIGHT + (_SUBTITLE_HEIGHT if subtitle else 0.0)
    captions = [
        (title, "title", TITLE_SIZE, TITLE_SIZE),
        (subtitle, "subtitle", SUBTITLE_SIZE, _TITLE_HEIGHT + SUBTITLE_SIZE),
    ]
    widest = max(text_width(plain_line(content), size) for content, _, size, _ in captions)
    width = max(drawing.width, float(ceil(min(widest, _WIDEST_CAPTION))))
    lines = [
        text(content, width / 2, y, kind=kind, size=size, width=width, middle=True)
        for content, kind, size, y in captions
        if content
    ]
    left = (width - drawing.width) / 2
    return Drawing(
        width=width,
        height=drawing.height + top,
        markup="".join([*lines, translate(drawing, left, top)]),
    )


def side_by_side(drawings: Sequence[Drawing]) -> Drawing:
    """The drawings in a row, each with a line between it and the next."""
    height = max(drawing.height for drawing in drawings)
    parts, x = list[str](), 0.0
    for drawing in drawings:
        if parts:
            at = number(x + _GUTTER)
            parts.append(f'<path class="divider" d="M{at} 0V{number(height)}"/>')
            x += 2 * _GUTTER
        parts.append(translate(drawing, x, 0))
        x += drawing.width
    return Drawing(width=x, height=height, markup="".join(parts))
