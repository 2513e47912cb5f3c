"""Render the data dictionary of a workflow as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.cli.render.dictionary_markdown import (
    HOW_TO_READ,
    PERSONAL_HINT,
    columns_by_stage,
    columns_read,
    entry_facts,
)
from tidemill.contracts.docs.html import (
    COLUMN_HEADERS,
    PERSONAL,
    badge,
    column_cells,
    html_table,
    paragraphs,
    rule_tables,
)
from tidemill.core.printable import html_text
from tidemill.drawing.html_file import html_file
from tidemill.lineage.dictionary import (
    Cell,
    DataFlowTarget,
    Dictionary,
    DictionaryEntry,
    PersonalColumn,
    TableUse,
)

_PERSONAL = "personal-data"
_STYLE = """\
.skip{position:absolute;left:-999em}.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem}
.layout{display:grid;grid-template-columns:15rem minmax(0,1fr);max-width:88rem;margin:0 auto}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;padding:2rem 1.25rem;
  font-size:.9rem}
nav ol{list-style:none;margin:.5rem 0 0;padding:0}nav li{padding:.15rem 0}
.kind{color:var(--soft);font-size:.9rem;font-weight:400}nav .kind{font-size:.8rem}
main{margin:0;max-width:none;padding:2rem 2.5rem;min-width:0;border-left:1px solid var(--frame)}
h2{font-size:1.35rem;margin:3.5rem 0 .25rem;padding-top:1.25rem;border-top:1px solid var(--frame);
  scroll-margin-top:1rem}
main p{max-width:46rem}.about{font-size:1.02rem}
table{width:100%}caption{color:var(--ink);font-weight:600}
th,td{padding-right:1rem;font-weight:400}.wide{margin:1rem 0 1.5rem}
thead th{font-size:.8rem;border-bottom-width:2px}
tbody th{color:var(--ink);white-space:nowrap}tbody th code{font-weight:600}
.mark{display:inline-block;border:1px solid var(--frame);background:var(--panel);border-radius:.75rem;
  padding:0 .5rem;font-size:.78rem;white-space:nowrap}
.personal{border-color:var(--amber);color:var(--amber)}
@media (max-width:60rem){.layout{display:block}main{border:0;padding:1rem 1.25rem}
  nav{position:static;max-height:none;padding:1.25rem 1.25rem 0}}
@media print{nav,.skip{display:none}.layout{display:block}main{border:0;padding:0}}
"""


def render_html(book: Dictionary) -> str:
    """Render the dictionary; the same workflow gives the same bytes."""
    title = f"{book.workflow}: data dictionary"
    sections = "\n".join(_section(book, entry) for entry in book.entries)
    body = f"""\
<a class="skip" href="#content">Skip to the contents</a>
<div class="layout">
<nav aria-label="Contents">
<strong>{html_text(book.workflow)}</strong>
<ol>
{_contents(book)}
</ol>
</nav>
<main id="content">
<h1>{html_text(title)}</h1>
{f'<p class="soft">Owner: {html_text(book.owner)}</p>' if book.owner else ""}
<p>{html_text(HOW_TO_READ)}</p>
{sections}
{_personal(book)}
</main>
</div>"""
    about = f"Data dictionary of {book.workflow}, by Tidemill"
    return html_file(title=title, body=body, about=about, css=_STYLE)


def _contents(book: Dictionary) -> str:
    lines = [
        f'<li><a href="#{_anchor(e.stage)}">{html_text(e.stage)}</a> <span class="kind">{e.kind}</span></li>'
        for e in book.entries
    ]
    return "\n".join([*lines, f'<li><a href="#{_PERSONAL}">Personal data</a></li>'])


def _anchor(stage: str) -> str:
    return f"stage-{html_text(stage)}"


def _section(book: Dictionary, entry: DictionaryEntry) -> str:
    known = {each.stage: each for each in book.entries}
    said = "".join(
        f"<dt>{name}</dt><dd>{html_text(text)}</dd>" for name, text in entry_facts(entry)
    )
    uses = ", ".join(_use(use, known) for use in entry.uses)
    inputs = ", ".join(_link(name, name, known) for name in entry.inputs)
    return f"""<section aria-labelledby="{_anchor(entry.stage)}">
<h2 id="{_anchor(entry.stage)}">{html_text(entry.stage)} <span class="kind">{entry.kind}, contract \
{html_text(entry.spec.name)} {html_text(entry.spec.version)}</span></h2>
{paragraphs(entry.spec.description)}
<dl>{said}{f"<dt>inputs</dt><dd>{inputs}</dd>" if inputs else ""}
<dt>read by</dt><dd>{uses or "no stage"}</dd></dl>
{_columns(entry, known)}
{rule_tables(entry.spec)}
</section>"""


def _use(use: TableUse, known: Iterable[str]) -> str:
    return f"{_link(use.stage, use.stage, known)} {html_text(columns_read(use))}"


def _link(stage: str, text: str, known: Iterable[str]) -> str:
    inside = html_text(text)
    return f'<a href="#{_anchor(stage)}">{inside}</a>' if stage in known else inside


def _columns(entry: DictionaryEntry, known: Iterable[str]) -> str:
    headers = (*COLUMN_HEADERS, "comes from", "read by")
    rows = [
        [
            *column_cells(entry.spec, column),
            "<br>".join(_origins(entry.origins(column.name), known)),
            ", ".join(_link(u.stage, u.stage, known) for u in entry.readers(column.name)),
        ]
        for column in entry.spec.columns
    ]
    return html_table("Columns", headers, rows)


def _origins(origins: tuple[Cell, ...], known: Iterable[str]) -> Iterator[str]:
    for stage, columns in columns_by_stage(origins):
        yield f"{_link(stage, stage, known)}: <code>{html_text(columns)}</code>"


def _personal(book: Dictionary) -> str:
    head = f'<h2 id="{_PERSONAL}">Personal data</h2>'
    if not book.personal:
        return f"<section>{head}\n<p>No column is marked as personal data.</p></section>"
    known = [entry.stage for entry in book.entries]
    rows = [_personal_row(item, known) for item in book.personal]
    table = html_table("Columns with personal data", ("column", "kind", "may reach"), rows)
    return f"<section>{head}\n<p>{html_text(PERSONAL_HINT)}</p>\n{table}</section>"


def _personal_row(item: PersonalColumn, known: Iterable[str]) -> tuple[str, str, str]:
    reached = "<br>".join(_reached(each, known) for each in item.reached)
    return (
        f"{_link(item.stage, item.stage, known)} <code>{html_text(item.column)}</code>",
        badge(f"{PERSONAL}: {item.pii}"),
        reached or "nothing else",
    )


def _reached(each: DataFlowTarget, known: Iterable[str]) -> str:
    if each.columns is None:
        return f"{_link(each.stage, each.stage, known)} ({each.kind}): anywhere in it"
    return (
        f"{_link(each.stage, each.stage, known)}: <code>{html_text(', '.join(each.columns))}</code>"
    )
