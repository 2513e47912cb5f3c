"""`tidemill contract show`: show a contract, its producer and its consumers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import click

from tidemill.cli.contract.reference import of_class
from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.cli.render.dictionary_markdown import cells_said, use_said
from tidemill.cli.render.figures import table, without_empty
from tidemill.cli.render.json_document import json_option, plain, tell
from tidemill.contracts.docs.phrases import conditions, table_rules
from tidemill.contracts.docs.text import contract_text
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import WideRule
from tidemill.lineage.dictionary import Entry


@click.command()
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@json_option
@where_options
def show(name: str, as_json: bool) -> None:
    """Show the columns and rules of a contract, the action on each failure, producers and consumers."""
    with opened() as project:
        module, colon, attribute = name.partition(":")
        spec = of_class(module, attribute) if colon else project.contracts.of_stage(name)
        lineage = project.lineage
        entries = lineage.entries_of(spec) if colon else (lineage.entry(name),)
    text = "\n\n".join([contract_text(spec), *map(_neighbours, entries)])
    tell(text, as_json, "tidemill.contract.show/1", lambda: _body(spec, entries))


def _neighbours(entry: Entry) -> str:
    """The producer of a stage's table, and the columns that each consumer reads."""
    given = f"produced by {entry.stage} ({entry.kind}, {entry.place})"
    lines = [given + (f" from {', '.join(entry.inputs)}" if entry.inputs else "")]
    if entry.opaque:
        lines.append(f"  not followed column by column: {entry.opaque}")
    lines += [f"read by {use.stage} {use_said(use)}" for use in entry.uses]
    flow = (
        [_column_flow(entry, column) for column in entry.spec.names]
        if entry.lineage or entry.uses
        else []
    )
    headers = ("column", "comes from", "read by")
    text_table = table(*without_empty(headers, flow, *headers[1:]))
    return "\n".join(lines) + (f"\n\n{text_table}" if flow else "")


def _column_flow(entry: Entry, column: str) -> tuple[str, str, str]:
    origins = "; ".join(f"{s}: {columns}" for s, columns in cells_said(entry.origins(column)))
    readers = ", ".join(use.stage for use in entry.readers(column))
    return column, origins or "-", readers or "-"


def _body(spec: ContractSpec, entries: Sequence[Entry]) -> dict[str, object]:
    names = ("name", "version", "key", "rows", "budget", "unknown_columns")
    more = ("compatibility", "description", "place")
    return {
        **{name: getattr(spec, name) for name in (*names, *more)},
        "partitioning": str(spec.partitioning),
        "columns": [
            {**plain(column), "type": str(column.dtype), "must": conditions(column)}
            for column in spec.columns
        ],
        "rules": [
            {
                **{name: getattr(rule, name) for name in ("name", "digest", "on_fail")},
                "expr": str(rule.expr),
                "description": rule.description,
            }
            for rule in spec.rules
        ],
        "wider": [{"kind": _kind(r), "must_hold": str(r), **_rule_fields(r)} for r in spec.wider],
        "table_rules": table_rules(spec),
        "stages": list(_stages(entries)),
    }


def _kind(rule: WideRule) -> str:
    return type(rule).__name__.removesuffix("Rule").lower()


def _rule_fields(rule: WideRule) -> dict[str, object]:
    return {field.name: getattr(rule, field.name) for field in fields(rule) if field.compare}


def _stages(entries: Sequence[Entry]) -> Iterator[Mapping[str, object]]:
    for entry in entries:
        yield {
            "stage": entry.stage,
            "kind": entry.kind,
            "place": entry.place,
            "inputs": entry.inputs,
            "opaque": entry.opaque or None,
            "lineage": entry.lineage,
            "uses": entry.uses,
        }
