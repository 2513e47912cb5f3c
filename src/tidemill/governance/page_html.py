"""A page about a change as one HTML file: no script, no other file, and all text escaped.

The policy in its head forbids scripts and requests, also where a browser would allow them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from tidemill.core.printable import html_text
from tidemill.governance.page_values import ANSWERS, PageSection, PageTable, ReviewPage

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_DIFF_KINDS = {"+": "more", "-": "less", "@": "at"}
_CLASSES = {"What changes": "first", "What gets worse": "worse"}
_CODE = re.compile(r"`([^`\n]+)`")
_STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566372; --line: #dde3e9;
  --ground: #ffffff; --panel: #f5f7f9; --accent: #0b6477; --warn: #b25e09;
  --more: #116329; --more-ground: #e3f6e8; --less: #a40e26; --less-ground: #fdebec; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9dabb9; --line: #303a46; --ground: #12171d;
    --panel: #1a2129; --accent: #6cc5d6; --warn: #e3a34f;
    --more: #7ee2a0; --more-ground: #12291b; --less: #ff9aa5; --less-ground: #33181c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.5rem 4rem; color: var(--ink);
  background: var(--ground); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 0.4rem; overflow-wrap: anywhere; }
.state { border-left: 4px solid var(--accent); background: var(--panel); padding: 0.6rem 1rem; margin: 0;
  overflow-wrap: anywhere; }
.answers { display: grid; gap: 1rem; margin: 1rem 0 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.answers section { border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.9rem 1.1rem;
  min-width: 0; }
.answers .first { grid-column: 1 / -1; }
.answers h2 { color: var(--accent); }
.answers .worse { border-left: 4px solid var(--warn); }
.answers .worse h2 { color: var(--warn); }
.evidence section { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1rem; }
ul { margin: 0.3rem 0; padding-left: 1.1rem; } li { margin: 0.2rem 0; overflow-wrap: anywhere; }
li::marker { color: var(--soft); }
.wide { overflow-x: auto; margin: 0.6rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; width: max-content; }
caption { text-align: left; color: var(--soft); padding: 0.2rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1.2rem 0.3rem 0; max-width: 28rem;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.n { text-align: right; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 0.3rem; margin: 0.5rem 0;
  padding: 0.5rem 0.8rem; font: 0.88rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.command { white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.diff { overflow-x: auto; padding: 0.5rem 0; tab-size: 4; }
.diff code { display: block; width: max-content; min-width: 100%; font: inherit; }
.diff span { display: block; padding: 0 0.8rem; }
.more { color: var(--more); background: var(--more-ground); }
.less { color: var(--less); background: var(--less-ground); }
.at { color: var(--soft); }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; }
  .answers section { break-inside: avoid; } }
"""


def html_page(page: ReviewPage) -> str:
    """The page as a file for a browser, in light or dark mode, and for print."""
    title = html_text(page.title)
    parts = "\n".join(_parts(page.sections))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="{html_text(_POLICY)}">
<title>{title}</title>
<style>
{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="state">{html_prose(page.state)}</p>
{parts}
</main>
</body>
</html>
"""


def _parts(sections: Iterable[PageSection]) -> Iterator[str]:
    """The sections that answer what everybody asks side by side, and what the answers rest on below."""
    for answers, some in groupby(sections, lambda part: part.title in ANSWERS):
        yield f'<div class="{"answers" if answers else "evidence"}">'
        for part in some:
            kind = _CLASSES.get(part.title, "")
            yield f'<section class="{kind}">' if kind else "<section>"
            yield f"<h2>{html_text(part.title)}</h2>"
            yield html_section(part)
            yield "</section>"
        yield "</div>"


def html_section(part: PageSection) -> str:
    """What stands under the title of a section: it needs the classes of tables, diffs and commands."""
    return "\n".join(_section(part))


def _section(part: PageSection) -> Iterator[str]:
    if part.lines:
        yield f"<ul>{''.join(f'<li>{html_prose(line)}</li>' for line in part.lines)}</ul>"
    if part.table is not None and part.table.rows:
        yield html_table(part.table)
    if part.diff:
        yield f'<pre class="diff"><code>{"".join(map(_diff_line, part.diff))}</code></pre>'
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


def html_table(table: PageTable) -> str:
    """A table, whose columns `>` are aligned to the right; classes: `n` of their cells, `wide` around it."""
    kinds = [' class="n"' if header.startswith(">") else "" for header in table.headers]
    head = "".join(
        f'<th scope="col"{kind}>{html_text(header.removeprefix(">"))}</th>'
        for kind, header in zip(kinds, table.headers, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html_text(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{html_text(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
