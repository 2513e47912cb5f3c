"""Render the data dictionary of a workflow as Markdown; phrases that its HTML page shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidemill.contracts.docs.html import column_badges
from tidemill.contracts.docs.phrases import (
    OUTCOMES,
    Condition,
    conditions,
    head_terms,
    row_conditions,
    table_conditions,
    type_name,
)
from tidemill.core.markdown import markdown_code, markdown_text
from tidemill.core.text_table import drop_empty_columns, markdown_table
from tidemill.lineage.dictionary import Cell, Dictionary, DictionaryEntry, PersonalColumn, TableUse

HOW_TO_READ = (
    "The tables of the workflow, in the order in which their stages run: the promises of each contract, "
    "the lineage of its columns, and the stages that read them."
)
PERSONAL_HINT = (
    "The columns that depend on a column marked as personal data: values computed from it, and rows "
    "filtered, joined or grouped by it. A stage without column lineage (a model, a delivery, code that "
    "collects its rows) may have it anywhere in its output."
)


def entry_facts(entry: DictionaryEntry) -> Iterator[tuple[str, str]]:
    """Facts about a stage and its contract as a whole: pairs of a label and a text."""
    if entry.about:
        yield "purpose", entry.about
    yield from head_terms(entry.spec)
    yield "declared", f"contract {entry.spec.place}, stage {entry.place}"
    if entry.opaque:
        yield "column lineage", f"unknown ({entry.opaque})"


def columns_read(use: TableUse) -> str:
    """The columns that a stage reads of a table, in brackets."""
    if use.columns is None:
        return f"({use.kind}, any column)"
    return f"({', '.join(use.columns)})" if use.columns else "(the number of rows)"


def columns_by_stage(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    """The columns of each stage, joined."""
    found: dict[str, list[str]] = {}
    for stage, column in cells:
        found.setdefault(stage, []).append(column)
    for stage, columns in found.items():
        yield stage, ", ".join(columns)


def render_markdown(book: Dictionary) -> str:
    """Render the dictionary as one Markdown page; the same workflow gives the same text."""
    blocks = [f"# {markdown_text(book.workflow)}: data dictionary"]
    if book.owner:
        blocks.append(f"Owner: {markdown_text(book.owner)}")
    blocks += [HOW_TO_READ, _contents(book)]
    for entry in book.entries:
        blocks += _section(entry)
    return "\n\n".join([*blocks, *_personal(book)]) + "\n"


def _contents(book: Dictionary) -> str:
    lines = [f"- [{markdown_text(e.stage)}](#{e.stage.lower()}) ({e.kind})" for e in book.entries]
    return "\n".join([*lines, "- [Personal data](#personal-data)"])


def _section(entry: DictionaryEntry) -> Iterator[str]:
    spec = entry.spec
    yield f"## {markdown_text(entry.stage)}"
    yield f"{str(entry.kind).capitalize()}, contract **{markdown_text(spec.title)}**"
    if spec.description:
        yield "\n\n".join(markdown_text(part) for part in spec.description.split("\n\n"))
    yield "\n".join(f"- {name}: {markdown_text(said)}" for name, said in _facts(entry))
    yield _columns(entry)
    yield from _rules("Rules over rows", row_conditions(spec), code=True)
    yield from _rules("Rules over the table", table_conditions(spec), code=False)


def _facts(entry: DictionaryEntry) -> Iterator[tuple[str, str]]:
    yield from entry_facts(entry)
    if entry.inputs:
        yield "inputs", ", ".join(entry.inputs)
    uses = "; ".join(f"{use.stage} {columns_read(use)}" for use in entry.uses)
    yield "read by", uses or "no stage"


def _columns(entry: DictionaryEntry) -> str:
    headers = (
        "column",
        "type",
        "must be",
        "if not",
        "marks",
        "description",
        "comes from",
        "read by",
    )
    rows = [
        [
            markdown_code(column.name),
            markdown_code(type_name(column)),
            markdown_text(", ".join(conditions(column))) or "-",
            OUTCOMES[column.on_fail],
            markdown_text(", ".join(column_badges(entry.spec, column))) or "-",
            markdown_text(column.description) or "-",
            "; ".join(
                f"{markdown_text(s)}: {markdown_text(c)}"
                for s, c in columns_by_stage(entry.origins(column.name))
            )
            or "-",
            ", ".join(markdown_text(use.stage) for use in entry.readers(column.name)) or "-",
        ]
        for column in entry.spec.columns
    ]
    return _table(headers, rows)


def _rules(title: str, rules: Sequence[Condition], *, code: bool) -> Iterator[str]:
    if not rules:
        return
    yield f"{title}:"
    rows = [
        [
            markdown_code(rule.name),
            markdown_code(rule.phrase) if code else markdown_text(rule.phrase),
            OUTCOMES[rule.on_fail],
            markdown_text(rule.description) or "-",
        ]
        for rule in rules
    ]
    yield _table(("rule", "must hold", "if not", "description"), rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_table(*drop_empty_columns(headers, rows, *headers))


def _personal(book: Dictionary) -> Iterator[str]:
    yield "## Personal data"
    if not book.personal:
        yield "No column is marked as personal data."
        return
    yield PERSONAL_HINT
    rows = [
        [
            markdown_text(i.stage),
            markdown_code(i.column),
            markdown_text(i.pii),
            markdown_text(_reached(i)) or "nothing else",
        ]
        for i in book.personal
    ]
    yield markdown_table(("stage", "column", "kind", "may reach"), rows)


def _reached(item: PersonalColumn) -> str:
    return "; ".join(
        f"{r.stage} ({r.kind}): anywhere in it"
        if r.columns is None
        else f"{r.stage}: {', '.join(r.columns)}"
        for r in item.reached
    )
