"""HTML for notebooks: inert, with a style that can't leak, readable on any background, of limited size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tidemill.core.printable import html_text, shorten
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.style_sheet import FONTS, scoped_theme

SCOPE = "tm-notebook"
# A table has at most so many rows and bytes, and a cell so many letters.
MOST_ROWS, MOST_BYTES, MOST_LETTERS = 100, 40_000, 300
_BORDER = "border-bottom:1px solid var(--frame)!important"
# Notebooks style tables by rules that are more specific.
_RULES = {
    "": f"background:var(--paper);color:var(--ink);border:1px solid var(--frame);border-radius:6px;"
    f"padding:10px 14px;margin:4px 0;font:13px/1.45 {FONTS};overflow-x:auto;max-width:100%;"
    "box-sizing:border-box",
    " *": "box-sizing:border-box",
    " table": "border-collapse:collapse;border:0;margin:6px 0!important;font-size:13px;color:inherit",
    " caption": "text-align:left;color:var(--ink)!important;font-weight:600;padding:2px 0",
    " tr": "background:transparent!important",
    " th, td": f"text-align:left!important;vertical-align:top;padding:3px 14px 3px 0!important;"
    f"border:0!important;{_BORDER};color:var(--ink)!important;max-width:26rem;overflow-wrap:break-word;"
    "font-weight:400;white-space:normal",
    " thead th": "color:var(--soft)!important;white-space:nowrap",
    " .n": "text-align:right!important;font-variant-numeric:tabular-nums",
    " p": "margin:3px 0!important;overflow-wrap:anywhere",
    " ul": "margin:3px 0!important;padding-left:18px",
    " h4": "font-size:13px;margin:10px 0 2px!important;color:var(--ink)!important",
    " .soft": "color:var(--soft)",
    " .strong": "font-weight:600",
    " code, pre": "background:var(--panel)!important;color:var(--ink)!important;font-size:12px",
    " pre": "white-space:pre-wrap;padding:6px 8px",
    " .mark": "border:1px solid var(--frame);border-radius:9px;padding:0 7px;font-size:11px;"
    "white-space:nowrap",
    " .charts": "display:flex;flex-wrap:wrap;gap:8px",
    " .status": "font-weight:600;white-space:nowrap",
    " .icon": "display:inline;margin:0 5px 0 0;vertical-align:-1px",
    **{f" .{each.css}": f"color:var(--{each.css})" for each in DrawnStatus},
}
_CLASS = re.compile(r"[.]([a-z]+)$")


def notebook_html(*parts: str) -> str:
    """The parts, which are HTML, in a frame with its own colours, which follow those of the notebook."""
    inside = "".join(parts)
    rules = "".join(
        f"{_scoped(selector)}{{{rule}}}"
        for selector, rule in _RULES.items()
        if (found := _CLASS.search(selector)) is None or found[1] in inside
    )
    style = f"{scoped_theme(SCOPE, rules)}{rules}"
    return f'<div class="{SCOPE}"><style>{style}</style>{inside}</div>'


def notebook_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = ""
) -> str:
    """A table of text; a column whose header begins with `>` is right-aligned.

    Of many rows the first are shown, and a line below says how many are left out.
    """
    kinds = [' class="n"' if header.startswith(">") else "" for header in headers]
    lines, hidden = fitting_rows(
        [f"<td{kind}>{_cell(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)]
        for row in rows
    )
    head = "".join(
        f"<th{kind}>{_cell(header.removeprefix('>'))}</th>"
        for kind, header in zip(kinds, headers, strict=True)
    )
    title = f"<caption>{_cell(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    head = f"<tr>{head}</tr>" if lines else ""
    table = f"<table>{title}<thead>{head}</thead><tbody>{body}</tbody></table>"
    return table + left_out(hidden)


def fitting_rows(rows: Iterable[Sequence[str]]) -> tuple[list[Sequence[str]], int]:
    """The first rows of cells that a notebook has room for, and how many are left out."""
    kept, total, room = list[Sequence[str]](), 0, MOST_BYTES
    for row in rows:
        total += 1
        if len(kept) == total - 1 and len(kept) < MOST_ROWS:
            room -= sum(len(cell.encode(errors="replace")) for cell in row)
            if room >= 0:
                kept.append(row)
    return kept, total - len(kept)


def left_out(number: int) -> str:
    """A line that says how many rows are left out, if any are."""
    return f'<p class="soft">and {number:,} more, left out</p>' if number else ""


def _cell(text: str) -> str:
    return html_text(shorten(text, MOST_LETTERS))


def _scoped(selector: str) -> str:
    return ",".join(f".{SCOPE} {each.strip()}".rstrip() for each in selector.split(","))
