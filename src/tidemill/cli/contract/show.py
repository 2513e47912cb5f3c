"""`tidemill contract show`: show a contract, its producer and its consumers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import click

from tidemill.cli.contract.reference import contract_in_module
from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.dictionary_markdown import columns_by_stage, columns_read
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.contracts.docs.phrases import conditions, table_conditions
from tidemill.contracts.docs.text import contract_text
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import TableRule
from tidemill.core.json_values import to_json_values
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.lineage.dictionary import DictionaryEntry


@click.command()
@click.argument("name", metavar="STAGE|MODULE:CLASS")
@json_option
@project_options
def show(name: str, as_json: bool) -> None:
    """Show the columns and rules of a contract, the action on each failure, producers and consumers."""
    with project_session() as project:
        module, colon, attribute = name.partition(":")
        spec = contract_in_module(module, attribute) if colon else project.contracts.of_stage(name)
        lineage = project.lineage
        entries = lineage.entries_of(spec) if colon else (lineage.entry(name),)
    text = "\n\n".join([contract_text(spec), *map(_neighbours, entries)])
    print_result(text, as_json, "tidemill.contract.show/1", lambda: _body(spec, entries), data=True)


def _neighbours(entry: DictionaryEntry) -> str:
    """The producer of a stage's table, and the columns that each consumer reads."""
    given = f"produced by {entry.stage} ({entry.kind}, {entry.place})"
    lines = [given + (f" from {', '.join(entry.inputs)}" if entry.inputs else "")]
    if entry.opaque:
        lines.append(f"  not followed column by column: {entry.opaque}")
    lines += [f"read by {use.stage} {columns_read(use)}" for use in entry.uses]
    flow = (
        [_column_flow(entry, column) for column in entry.spec.names]
        if entry.lineage or entry.uses
        else []
    )
    headers = ("column", "comes from", "read by")
    shown = text_table(*drop_empty_columns(headers, flow, *headers[1:]))
    return "\n".join(lines) + (f"\n\n{shown}" if flow else "")


def _column_flow(entry: DictionaryEntry, column: str) -> tuple[str, str, str]:
    origins = "; ".join(f"{s}: {columns}" for s, columns in columns_by_stage(entry.origins(column)))
    readers = ", ".join(use.stage for use in entry.readers(column))
    return column, origins or "-", readers or "-"


def _body(spec: ContractSpec, entries: Sequence[DictionaryEntry]) -> dict[str, object]:
    names = ("name", "version", "key", "rows", "budget", "unknown_columns")
    more = ("compatibility", "description", "place")
    return {
        **{name: getattr(spec, name) for name in (*names, *more)},
        "partitioning": str(spec.partitioning),
        "columns": [
            {**to_json_values(column), "type": str(column.dtype), "must": conditions(column)}
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
        "wider": [
            {"kind": _kind(r), "must_hold": str(r), **_rule_fields(r)} for r in spec.table_rules
        ],
        "table_rules": table_conditions(spec),
        "stages": list(_stages(entries)),
    }


def _kind(rule: TableRule) -> str:
    return type(rule).__name__.removesuffix("Rule").lower()


def _rule_fields(rule: TableRule) -> dict[str, object]:
    return {field.name: getattr(rule, field.name) for field in fields(rule) if field.compare}


def _stages(entries: Sequence[DictionaryEntry]) -> Iterator[Mapping[str, object]]:
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
