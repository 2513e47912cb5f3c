"""Statuses in HTML: a glyph and a word, in the colour that drawings give the status."""

from __future__ import annotations

from tidemill.core.printable import html_text
from tidemill.drawing.status import DrawnStatus, glyph_path

# For a page with the variables of the theme.
LABEL_CSS = "".join(
    [
        ".status{font-weight:600;white-space:nowrap}.icon{margin-right:.35em;vertical-align:-.1em}",
        *(f".{each.css}{{color:var(--{each.css})}}" for each in DrawnStatus),
    ]
)


def status_label(status: DrawnStatus, word: str = "") -> str:
    """The glyph and a word: the status, if no other is given."""
    return (
        f'<span class="status {status.css}"><svg class="icon" viewBox="0 0 14 14" width="13" height="13"'
        f' aria-hidden="true"><path fill="currentColor" fill-rule="evenodd" d="{glyph_path(status)}"/>'
        f"</svg>{html_text(word or status)}</span>"
    )
