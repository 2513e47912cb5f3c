"""Drawings as SVG documents that need nothing else, and as elements of pages that have the style sheet."""

from __future__ import annotations

from tidemill.drawing.style_sheet import SCOPE, document_style
from tidemill.drawing.svg import Drawing, number, translate
from tidemill.drawing.text import escaped

_MARGIN = 20.0
# Lines at the border of a drawing are half outside of it.
_BORDER = 2.0


def document(
    drawing: Drawing,
    *,
    title: str,
    description: str,
    prefix: str = "tm",
    margin: float = _MARGIN,
    radius: float = 12.0,
) -> str:
    """A whole SVG document that needs nothing else: a drawing on paper, with its title for screen readers.

    It follows the reader's preference for light or dark, and has a background in both, so that it can be
    read on any page. Its ids begin with `prefix`.
    """
    width, height = drawing.width + 2 * margin, drawing.height + 2 * margin
    return "\n".join(
        [
            _start(drawing, width, height, prefix, title, description),
            f"<style>{document_style(drawing.markup)}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{number(width - 1)}"'
            f' height="{number(height - 1)}" rx="{number(radius)}"/>',
            translate(drawing, margin, margin),
            "</svg>\n",
        ]
    )


def page_element(drawing: Drawing, *, prefix: str, title: str, description: str = "") -> str:
    """An SVG element for a page with `page_css`, which may forbid inline styles.

    `prefix` makes its ids unique on the page. It shrinks with the page, and keeps its place before the
    style sheet is there.
    """
    width, height = drawing.width + 2 * _BORDER, drawing.height + 2 * _BORDER
    start = _start(drawing, width, height, prefix, title, description)
    return f"{start}{translate(drawing, _BORDER, _BORDER)}</svg>"


def _start(
    drawing: Drawing, width: float, height: float, prefix: str, title: str, description: str
) -> str:
    # The parts of an image are hidden from screen readers, so one with links is a group.
    role = "group" if "<a " in drawing.markup else "img"
    ids = [f"{escaped(prefix)}-{part}" for part in ("title", "description")]
    size = f'width="{number(width)}" height="{number(height)}"'
    labelled = f'aria-labelledby="{ids[0]}"'
    described = f' aria-describedby="{ids[1]}"' if description else ""
    more = f'<desc id="{ids[1]}">{escaped(description)}</desc>' if description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{SCOPE}"'
        f' viewBox="0 0 {number(width)} {number(height)}" {size} role="{role}" {labelled}{described}>'
        f'<title id="{ids[0]}">{escaped(title)}</title>{more}'
    )
