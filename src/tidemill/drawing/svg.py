"""SVG elements, the style sheet of all drawings in light and dark, and the document around them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import ceil

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.text import escaped, plain_line, shortened, text_width

LABEL_SIZE, SMALL_SIZE = 13.0, 11.0
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_MARGIN, _GUTTER, _WIDEST_CAPTION = 20.0, 28.0, 400.0
_TITLE_SIZE, _SUBTITLE_SIZE, _TITLE_HEIGHT, _SUBTITLE_HEIGHT = 15.0, 12.0, 26.0, 22.0


class Hue(StrEnum):
    """The colours that tell kinds of things apart, in light and dark."""

    BLUE = "blue"
    TEAL = "teal"
    VIOLET = "violet"
    AMBER = "amber"
    GREEN = "green"
    RED = "red"
    GREY = "grey"


# Of each hue: line and text, then fill; all texts have a contrast of at least 4.5 to what is behind them.
_LIGHT = {
    Hue.BLUE: ("#0b5cad", "#e6f0fb"),
    Hue.TEAL: ("#0b6b6b", "#e0f4f3"),
    Hue.VIOLET: ("#6b3fa8", "#f1eafb"),
    Hue.AMBER: ("#8a5300", "#fcf1dc"),
    Hue.GREEN: ("#23692f", "#e5f4e6"),
    Hue.RED: ("#a3293a", "#fdeaec"),
    Hue.GREY: ("#525b66", "#eef0f3"),
}
_DARK = {
    Hue.BLUE: ("#79b8ff", "#12304f"),
    Hue.TEAL: ("#56d3cd", "#0f3838"),
    Hue.VIOLET: ("#c3a2f5", "#33224f"),
    Hue.AMBER: ("#eebb5c", "#3d2c0a"),
    Hue.GREEN: ("#7ccf87", "#173a1d"),
    Hue.RED: ("#ff9aa6", "#4a1a22"),
    Hue.GREY: ("#adb6c1", "#2a3038"),
}
_INK_LIGHT = (
    "--paper:#ffffff;--frame:#d5dae0;--ink:#1c2128;--soft:#525b66;--line:#8b949f;--pale:#f7f8fa"
)
_INK_DARK = (
    "--paper:#15191f;--frame:#343b45;--ink:#e8ecf1;--soft:#a7b0bb;--line:#727d8a;--pale:#1b2027"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Markup with the size of the area that it covers, from the origin, in pixels."""

    width: float
    height: float
    markup: str


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


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
        (title, "title", _TITLE_SIZE, _TITLE_SIZE),
        (subtitle, "subtitle", _SUBTITLE_SIZE, _TITLE_HEIGHT + _SUBTITLE_SIZE),
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


def document(drawing: Drawing, *, title: str, description: str) -> str:
    """A whole SVG document that needs nothing else: a drawing on paper, with its title for screen readers.

    It follows the reader's preference for light or dark, and has a background in both, so that it can be
    read on any page.
    """
    width, height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    size = f"{number(width)} {number(height)}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{number(width)}"'
            f' height="{number(height)}" role="img" aria-labelledby="title description">',
            f'<title id="title">{escaped(title)}</title>',
            f'<desc id="description">{escaped(description)}</desc>',
            f"<style>{style()}</style>",
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9"'
            ' markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
            '<path class="head" d="M0 0.5L8 4L0 7.5z"/></marker></defs>',
            f'<rect class="paper" x="0.5" y="0.5" width="{number(width - 1)}"'
            f' height="{number(height - 1)}" rx="12"/>',
            translate(drawing, _MARGIN, _MARGIN),
            "</svg>\n",
        ]
    )


def ink(*, dark: bool) -> str:
    """The colours as CSS variables."""
    return f"{_INK_DARK};{_hues(_DARK)}" if dark else f"{_INK_LIGHT};{_hues(_LIGHT)}"


def style() -> str:
    """The style sheet of graphs."""
    rules = [
        f"svg{{{ink(dark=False)};font-family:{FONTS}}}",
        f"@media (prefers-color-scheme:dark){{svg{{{ink(dark=True)}}}}}",
        ".paper{fill:var(--paper);stroke:var(--frame)}",
        ".divider{stroke:var(--frame);stroke-dasharray:2 5;stroke-linecap:round}",
        f".title{{fill:var(--ink);font-size:{number(_TITLE_SIZE)}px;font-weight:650}}",
        f".subtitle{{fill:var(--soft);font-size:{number(_SUBTITLE_SIZE)}px}}",
        f".label{{fill:var(--ink);font-size:{number(LABEL_SIZE)}px;font-weight:600}}",
        f".kind,.note{{font-size:{number(SMALL_SIZE)}px}}",
        ".kind{fill:var(--hue)}",
        ".note{fill:var(--soft)}",
        ".box{fill:var(--tint);stroke:var(--hue);stroke-width:1.5}",
        ".quiet .box{fill:var(--pale);stroke:var(--frame);stroke-width:1}",
        ".quiet .label{fill:var(--soft);font-weight:500}",
        ".quiet .kind{fill:var(--soft)}",
        ".edge{fill:none;stroke:var(--line);stroke-width:1.5;marker-end:url(#arrow)}",
        ".quiet.edge{stroke-width:1;stroke-dasharray:3 3}",
        ".head{fill:var(--line)}",
        *(f".{hue}{{--hue:var(--{hue});--tint:var(--{hue}-tint)}}" for hue in Hue),
    ]
    return "".join(rules)


def _hues(colours: dict[Hue, tuple[str, str]]) -> str:
    return ";".join(f"--{hue}:{line};--{hue}-tint:{tint}" for hue, (line, tint) in colours.items())
