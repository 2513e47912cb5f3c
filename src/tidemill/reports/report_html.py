"""A report as one HTML file of limited size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.core.printable import html_text, shorten
from tidemill.drawing.html_file import html_file
from tidemill.drawing.status_label import LABEL_CSS, status_label
from tidemill.drawing.style_sheet import page_css
from tidemill.governance.page_html import html_prose, html_table
from tidemill.reports.report import Report, ReportPart
from tidemill.scorecard.scorecard_html import CARDS_CSS

# A file is smaller than 500 kB; the rules of drawings take some of it.
MOST_BYTES = 490_000
_LONGEST, _LONGEST_LINE, _LONGEST_TEXT = 300, 1_200, 6_000
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
    parts = [part for part in report.parts if not part.is_empty]
    room = MOST_BYTES - _size(_page(report, parts, [])) - _size(page_css())
    sections = []
    for number, part in enumerate(parts, 1):
        section, room = _fitting_section(part, number, room)
        sections.append(section)
    return _page(report, parts, sections)


def _page(report: Report, parts: Sequence[ReportPart], sections: Sequence[str]) -> str:
    status = status_label(report.status, report.word)
    state = html_prose(shorten(report.state, _LONGEST_LINE))
    links = " ".join(
        f'<a href="#part-{number}">{_text(part.title)}</a>' for number, part in enumerate(parts, 1)
    )
    body = f"""\
<main class="report">
<h1>{_text(report.title)}</h1>
<p class="state {report.status.css}">{status} <span>{state}</span></p>
{_facts(report.facts)}
<nav class="toc" aria-label="Contents">{links}</nav>
{"".join(sections)}
</main>"""
    about = f"Report on {shorten(report.about, _LONGEST)}, by Tidemill"
    title = shorten(report.title, _LONGEST)
    return html_file(title=title, body=body, about=about, css=_CSS, made=report.made)


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _fitting_section(part: ReportPart, number: int, room: int) -> tuple[str, int]:
    """The section of a part without what there is no room for, and the room that is left."""
    kept, hidden = [f'<section id="part-{number}"><h2>{_text(part.title)}</h2>'], 0
    room -= _size(kept[0]) + _LONGEST
    for piece in _pieces(part, number):
        if _size(piece) <= room:
            kept.append(piece)
            room -= _size(piece)
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
        said = (f"<li>{html_prose(shorten(line, _LONGEST_LINE))}</li>" for line in part.lines)
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
