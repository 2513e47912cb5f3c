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
from tidemill.core.printable import html_text

PERSONAL = "personal"
# Notebooks bring their own colours: set only borders and spacing, with a translucent grey.
NOTEBOOK_STYLE = (
    ".tidemill table{border-collapse:collapse;margin:.5em 0}"
    ".tidemill caption{text-align:left;font-weight:600;padding:.3em 0}"
    ".tidemill th,.tidemill td{text-align:left!important;vertical-align:top;padding:.3em .8em .3em 0;"
    "border-bottom:1px solid rgba(128,128,128,.3)}"
    ".tidemill .about,.tidemill .where{opacity:.75}.tidemill p{margin:.2em 0}"
    ".tidemill .mark{border:1px solid rgba(128,128,128,.5);border-radius:.7em;padding:0 .5em;"
    "font-size:85%;white-space:nowrap}"
)


def contract_html(spec: ContractSpec) -> str:
    """Render a contract as a self-contained HTML fragment for a notebook."""
    return _framed(
        f"<p><strong>{html_text(spec.name)}</strong> {html_text(spec.version)} "
        f'<span class="where">{html_text(spec.place)}</span></p>'
        + paragraphs(spec.description)
        + f"<p>{'; '.join(f'{name}: {html_text(text)}' for name, text in head_terms(spec))}</p>"
        + columns_table(spec)
        + rule_tables(spec)
    )


def _framed(inside: str) -> str:
    return f'<div class="tidemill"><style>{NOTEBOOK_STYLE}</style>{inside}</div>'


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


def columns_table(spec: ContractSpec) -> str:
    """Render the columns of a contract: type, conditions, consequence, marks, description."""
    return html_table("Columns", COLUMN_HEADERS, (column_cells(spec, c) for c in spec.columns))


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
    return _rules("Rules over rows", row_conditions(spec), code=True) + _rules(
        "Rules over the table", table_conditions(spec), code=False
    )


def _rules(caption: str, rules: Sequence[Condition], *, code: bool) -> str:
    if not rules:
        return ""
    headers = ("rule", "must hold", "if not", "description")
    rows = [
        (
            f"<code>{html_text(rule.name)}</code>",
            f"<code>{html_text(rule.phrase)}</code>" if code else html_text(rule.phrase),
            OUTCOMES[rule.on_fail],
            html_text(rule.description),
        )
        for rule in rules
    ]
    return html_table(caption, headers, rows)
