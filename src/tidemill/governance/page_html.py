"""A page about a change as one HTML file: no script, no other file, and all text escaped.

The policy in its head forbids scripts and requests, also where a browser would allow them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.printable import html_text
from tidemill.governance.page_values import PageSection, PageTable, ReviewPage

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_DIFF_KINDS = {"+": "more", "-": "less", "@": "at"}
_STYLE = """\
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --line: #dfe4ea;
  --ground: #ffffff; --panel: #f6f8fa; --accent: #0b6477; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #9aa7b5; --line: #303a46; --ground: #12171d;
    --panel: #1a2129; --accent: #6cc5d6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.5rem 4rem; color: var(--ink);
  background: var(--ground); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.4rem; padding-top: 1rem; border-top: 1px solid var(--line); }
.state { border-left: 4px solid var(--accent); background: var(--panel); padding: 0.6rem 1rem; margin: 0; }
ul { margin: 0.3rem 0; padding-left: 1.2rem; } li { margin: 0.15rem 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0.6rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; }
caption { text-align: left; color: var(--soft); padding: 0.2rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1.2rem 0.3rem 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
.n { text-align: right; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 0.3rem; margin: 0.5rem 0;
  padding: 0.5rem 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all;
  font: 0.88rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } }
"""


def html_page(page: ReviewPage) -> str:
    """The page as a file for a browser, in light or dark mode, and for print."""
    title = html_text(page.title)
    parts = "\n".join(line for part in page.sections for line in _section(part))
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
<p class="state">{html_text(page.state)}</p>
{parts}
</main>
</body>
</html>
"""


def _section(part: PageSection) -> Iterator[str]:
    yield f"<section><h2>{html_text(part.title)}</h2>"
    if part.lines:
        yield f"<ul>{''.join(f'<li>{html_text(line)}</li>' for line in part.lines)}</ul>"
    if part.table is not None and part.table.rows:
        yield _table(part.table)
    if part.diff:
        yield f'<pre class="diff">{"".join(map(_diff_line, part.diff))}</pre>'
    for command in part.commands:
        yield f'<pre class="command">{html_text(command)}</pre>'
    yield "</section>"


def _diff_line(line: str) -> str:
    """A line of a unified diff, coloured by what it says."""
    kind = {"+++": "at", "---": "at"}.get(line[:3]) or _DIFF_KINDS.get(line[:1], "")
    text = html_text(line) + "\n"
    return f'<span class="{kind}">{text}</span>' if kind else text


def _table(table: PageTable) -> str:
    kinds = [' class="n"' if header.startswith(">") else "" for header in table.headers]
    head = "".join(
        f"<th{kind}>{html_text(header.removeprefix('>'))}</th>"
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
