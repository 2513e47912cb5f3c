"""Render the data dictionary of a workflow as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.cli.render.dictionary_css import STYLE
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
from tidemill.lineage.dictionary import (
    Cell,
    DataFlowTarget,
    Dictionary,
    DictionaryEntry,
    PersonalColumn,
    TableUse,
)

_PERSONAL = "personal-data"


def render_html(book: Dictionary) -> str:
    """Render the dictionary; the same workflow gives the same bytes."""
    title = f"{book.workflow}: data dictionary"
    sections = "\n".join(_section(book, entry) for entry in book.entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html_text(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
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
</div>
</body>
</html>
"""


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
