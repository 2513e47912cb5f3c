"""A page about a change as one HTML file: no script, no other file, and all text escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from tidemill.core.printable import html_text
from tidemill.drawing.html_file import html_file
from tidemill.governance.page_values import ANSWERS, PageSection, PageTable, ReviewPage

_DIFF_KINDS = {"+": "more", "-": "less", "@": "at"}
_CLASSES = {"What changes": "first", "What gets worse": "worse"}
_CODE = re.compile(r"`([^`\n]+)`")
_STYLE = """\
.answers{margin-bottom:2.5rem}.answers .first{grid-column:1/-1}
.answers h2{color:var(--teal)}.answers .worse{border-left:4px solid var(--amber)}
.answers .worse h2{color:var(--amber)}
.evidence section{border-top:1px solid var(--frame);margin-top:1.5rem;padding-top:1rem}
.diff{overflow-x:auto;padding:.5rem 0;tab-size:4;white-space:pre}
.diff code{display:block;width:max-content;min-width:100%;font:inherit}
.diff span{display:block;padding:0 .8rem}
.more{color:var(--green);background:var(--green-tint)}.less{color:var(--red);background:var(--red-tint)}
.at{color:var(--soft)}
"""


def html_page(page: ReviewPage) -> str:
    """The page as a file for a browser, in light or dark mode, and for print."""
    return html_file(
        title=page.title,
        body=f"<main>\n{page_body(page)}\n</main>",
        about="A page about a change, by Tidemill",
        css=_STYLE,
    )


def page_body(page: ReviewPage) -> str:
    """The title, the state and the sections."""
    parts = "\n".join(_parts(page.sections))
    return (
        f'<h1>{html_text(page.title)}</h1>\n<p class="state">{html_prose(page.state)}</p>\n{parts}'
    )


def _parts(sections: Iterable[PageSection]) -> Iterator[str]:
    """The sections that answer what everybody asks side by side, and what the answers rest on below."""
    for answers, some in groupby(sections, lambda part: part.title in ANSWERS):
        yield f'<div class="{"answers cards" if answers else "evidence"}">'
        for part in some:
            kind = " ".join(filter(None, ("card" if answers else "", _CLASSES.get(part.title, ""))))
            yield f'<section class="{kind}">' if kind else "<section>"
            yield f"<h2>{html_text(part.title)}</h2>"
            yield html_section(part)
            yield "</section>"
        yield "</div>"


def html_section(
    part: PageSection, *, line: Callable[[str], str] | None = None, cards: bool = False
) -> str:
    """What stands under the title of a section: it needs the classes of tables, diffs and commands.

    `line` makes markup of sentences. With `cards` narrow screens can show the rows of tables as cards, and
    keys scroll diffs.
    """
    return "\n".join(_section(part, line or html_prose, cards=cards))


def _section(part: PageSection, line: Callable[[str], str], *, cards: bool) -> Iterator[str]:
    if part.lines:
        yield f"<ul>{''.join(f'<li>{line(each)}</li>' for each in part.lines)}</ul>"
    if part.table is not None and part.table.rows:
        yield html_table(part.table, cards=cards)
    if part.diff:
        reached = ' tabindex="0"' if cards else ""
        yield f'<pre class="diff"{reached}><code>{"".join(map(_diff_line, part.diff))}</code></pre>'
    for command in part.commands:
        yield f'<pre class="command">{html_text(command)}</pre>'


def html_prose(text: str) -> str:
    """A line of text, in which what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", html_text(text))


def _diff_line(line: str) -> str:
    """A line of a unified diff, coloured by what it says."""
    kind = "at" if line.startswith(("+++ ", "--- ")) else _DIFF_KINDS.get(line[:1], "same")
    # A block without text would have no height.
    return f'<span class="{kind}">{html_text(line) or " "}</span>'


def html_table(table: PageTable, *, cards: bool = False) -> str:
    """A table, whose columns `>` are aligned to the right; classes: `n` of their cells, `wide` around it.

    With `cards` each cell has the header of its column.
    """
    kinds = [' class="n"' if header.startswith(">") else "" for header in table.headers]
    names = [html_text(header.removeprefix(">")) for header in table.headers]
    head = "".join(
        f'<th scope="col"{kind}>{name}</th>' for kind, name in zip(kinds, names, strict=True)
    )
    labels = [f' data-label="{name}"' if cards else "" for name in names]
    cells = [f"<td{kind}{label}>" for kind, label in zip(kinds, labels, strict=True)]
    rows = "".join(
        "<tr>"
        + "".join(f"{cell}{html_text(text)}</td>" for cell, text in zip(cells, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{html_text(table.caption)}</caption>" if table.caption else ""
    kind = ' class="cards compact"' if cards else ""
    return (
        f'<div class="wide"><table{kind}>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
