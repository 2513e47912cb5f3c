"""Parts of drawings that lead elsewhere, with names for screen readers and pointers."""

from __future__ import annotations

import re

from tidemill.drawing.text import escaped

_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*):")


def link(
    markup: str, href: str, *, label: str, css: str = "", name: str = "", is_read: bool = False
) -> str:
    """Markup as a link that is called `label`; without `href`, as a group that is called so.

    Where the text in the markup `is_read`, that is the name of the link, and the label its description.
    `name` becomes `data-name`, by which scripts of a page find the part. Raises ValueError when the link
    leads to anything but a page.
    """
    scheme = _SCHEME.match(href)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        raise ValueError(f"a drawing can't link to {href!r}")
    classes = f' class="{css}"' if css else ""
    data = f' data-name="{escaped(name)}"' if name else ""
    title = f"<title>{escaped(label)}</title>"
    if not href:
        return f"<g{classes}{data}>{title}{markup}</g>"
    named = "" if is_read else f' aria-label="{escaped(label)}"'
    return f'<a{classes} href="{escaped(href)}"{named}{data}>{title}{markup}</a>'
