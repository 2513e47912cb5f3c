"""Render contracts as HTML, for notebooks and for the page of a workflow.

User text is escaped, and the HTML loads no external resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidemill.contracts.column import Column
from tidemill.contracts.docs.phrases import (
    OUTCOMES,
    Condition,
    conditions,
    head_terms,
    row_conditions,
    table_conditions,
    type_name,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.printable import html_text, shorten
from tidemill.drawing.notebook import fitting_rows, left_out, notebook_html

PERSONAL = "personal"
_LONGEST = 2_000


def contract_html(spec: ContractSpec) -> str:
    """Render a contract for a notebook; of very many columns and rules the first ones."""
    terms = "; ".join(f"{name}: {html_text(text)}" for name, text in head_terms(spec))
    columns, hidden = fitting_rows(column_cells(spec, column) for column in spec.columns)
    rules = [
        _rules_table(caption, kept) + left_out(more)
        for caption, rows in _rules(spec)
        for kept, more in [fitting_rows(rows)]
    ]
    return notebook_html(
        f'<p><span class="strong">{html_text(spec.name)}</span> {html_text(spec.version)} '
        f'<span class="soft">{html_text(spec.place)}</span></p>',
        paragraphs(shorten(spec.description, _LONGEST)),
        f"<p>{terms}</p>",
        html_table("Columns", COLUMN_HEADERS, columns),
        left_out(hidden),
        *rules,
    )


def paragraphs(text: str) -> str:
    """Render user text as paragraphs, separated at empty lines."""
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "".join(f'<p class="about">{html_text(part)}</p>' for part in parts if part)


def badge(text: str) -> str:
    """Render a word as a badge; personal data stands out."""
    more = " personal" if text.startswith(PERSONAL) else ""
    return f'<span class="mark{more}">{html_text(text)}</span>'


def html_table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table whose cells are HTML; the first cell of a row is its header."""
    lines = [list(row) for row in rows]
    # Leave out columns that are empty in every row.
    kept = [n for n in range(len(headers)) if n == 0 or any(line[n] for line in lines)]
    head = "".join(f'<th scope="col">{html_text(headers[n])}</th>' for n in kept)
    body = "\n".join(
        "<tr>"
        + f'<th scope="row">{line[0]}</th>'
        + "".join(f"<td>{line[n]}</td>" for n in kept[1:])
        + "</tr>"
        for line in lines
    )
    # Make a wide table focusable, so that the keyboard can scroll it.
    return (
        f'<div class="wide" role="group" aria-label="{html_text(caption)}" tabindex="0">'
        f"<table><caption>{html_text(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


COLUMN_HEADERS = ("column", "type", "must be", "if not", "marks", "description")


def column_cells(spec: ContractSpec, column: Column) -> list[str]:
    """Return the HTML cells of a column under `COLUMN_HEADERS`."""
    must = conditions(column)
    return [
        f"<code>{html_text(column.name)}</code>",
        f"<code>{html_text(type_name(column))}</code>",
        "<br>".join(map(html_text, must)),
        OUTCOMES[column.on_fail],
        " ".join(map(badge, column_badges(spec, column))),
        html_text(column.description),
    ]


def column_badges(spec: ContractSpec, column: Column) -> Iterator[str]:
    """Yield the badges of a column: key, partition, unit, role, personal data."""
    if column.name in spec.key:
        yield "key"
    if column.partition:
        yield "partition"
    if column.unit:
        yield f"in {column.unit}"
    if column.role:
        yield f"role: {column.role}"
    if column.pii:
        yield f"{PERSONAL}: {column.pii}"


def rule_tables(spec: ContractSpec) -> str:
    """Render the rules over rows and over the table, one table for each kind that exists."""
    return "".join(_rules_table(caption, rows) for caption, rows in _rules(spec))


def _rules(spec: ContractSpec) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """The captions and cells of the kinds of rules that exist."""
    if rows := row_conditions(spec):
        yield "Rules over rows", _rule_cells(rows, code=True)
    if table := table_conditions(spec):
        yield "Rules over the table", _rule_cells(table, code=False)


def _rules_table(caption: str, rows: Sequence[Sequence[str]]) -> str:
    headers = ("rule", "must hold", "if not", "description")
    return html_table(caption, headers, rows)


def _rule_cells(rules: Sequence[Condition], *, code: bool) -> list[tuple[str, ...]]:
    return [
        (
            f"<code>{html_text(rule.name)}</code>",
            f"<code>{html_text(rule.phrase)}</code>" if code else html_text(rule.phrase),
            OUTCOMES[rule.on_fail],
            html_text(rule.description),
        )
        for rule in rules
    ]
