"""A report as one HTML file of limited size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.core.printable import html_text, shorten
from tidemill.drawing.html_file import html_file
from tidemill.drawing.status_label import LABEL_CSS, status_label
from tidemill.governance.page_html import html_prose, html_table
from tidemill.reports.report import Report, ReportPart
from tidemill.scorecard.scorecard_html import CARDS_CSS

# The body has room for so many bytes: a file is below 500 kB with its style sheet.
MOST_BYTES = 470_000
_LONGEST, _LONGEST_TEXT = 1_200, 6_000
_CSS = f"""\
{LABEL_CSS}{CARDS_CSS}.report section{{border-top:1px solid var(--frame);margin-top:1.5rem;padding-top:1rem}}
.report section.card{{border:1px solid var(--frame);margin:0;padding:.9rem 1.1rem}}
.report .state{{border-color:currentColor}}.report .state span+span{{color:var(--ink)}}
.charts{{display:flex;flex-wrap:wrap;gap:1.5rem;margin:.8rem 0}}
.charts svg{{display:block;min-width:0}}.report li{{white-space:pre-line}}
.report caption{{white-space:nowrap}}
.toc{{font-size:.9rem;margin:.8rem 0}}.toc a{{margin-right:1.1rem;white-space:nowrap}}
@media print{{.toc{{display:none}}}}
"""


def report_html(report: Report) -> str:
    """The file; what doesn't fit into it is left out, and it says so."""
    room = MOST_BYTES
    parts = [part for part in report.parts if not part.is_empty]
    shown = []
    for number, part in enumerate(parts, 1):
        section, room = _fitting(part, number, room)
        shown.append(section)
    status = status_label(report.status, report.word)
    links = " ".join(
        f'<a href="#part-{number}">{_text(part.title)}</a>' for number, part in enumerate(parts, 1)
    )
    body = f"""\
<main class="report">
<h1>{_text(report.title)}</h1>
<p class="state {report.status.css}">{status} <span>{html_prose(shorten(report.state, _LONGEST))}</span></p>
{_facts(report.facts)}
<nav class="toc" aria-label="Contents">{links}</nav>
{"".join(shown)}
</main>"""
    about = f"Report on {report.about}, by Tidemill"
    return html_file(title=report.title, body=body, about=about, css=_CSS, made=report.made)


def _fitting(part: ReportPart, number: int, room: int) -> tuple[str, int]:
    """The section of a part without what there is no room for, and the room that is left."""
    kept, hidden = [f'<section id="part-{number}"><h2>{_text(part.title)}</h2>'], 0
    for piece in _pieces(part, number):
        size = len(piece.encode(errors="replace"))
        if size <= room:
            kept.append(piece)
            room -= size
        else:
            hidden += 1
    if hidden:
        kept.append(
            f'<p class="soft">{plural(hidden, "block")} left out: the report would be too large</p>'
        )
    return "\n".join([*kept, "</section>\n"]), room


def _pieces(part: ReportPart, number: int) -> Iterator[str]:
    if part.html:
        yield part.html
    if part.facts:
        yield _facts(part.facts)
    if part.lines:
        said = (f"<li>{html_prose(shorten(line, _LONGEST))}</li>" for line in part.lines)
        yield f"<ul>{''.join(said)}</ul>"
    if part.charts:
        yield '<div class="charts">'
        yield from (
            chart.page_element(f"c{number}-{place}") for place, chart in enumerate(part.charts)
        )
        yield "</div>"
    yield from (html_table(table) for table in part.tables if table.rows)
    for each in part.texts:
        text = shorten(each.text, _LONGEST_TEXT)
        yield f"<h3>{_text(each.caption)}</h3><pre>{html_text(text)}</pre>"
    yield from (f'<pre class="command">{html_text(each)}</pre>' for each in part.commands)


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = (f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in facts)
    return f"<dl>{''.join(rows)}</dl>" if facts else ""


def _text(text: str) -> str:
    return html_text(shorten(text, _LONGEST))
