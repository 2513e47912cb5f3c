"""`tidemill contract show`: what a stage's contract says, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import click

from tidemill.cli.document import json_option, tell
from tidemill.cli.group import where_options
from tidemill.cli.opening import opened
from tidemill.cli.show import rules_of
from tidemill.cli.tables import table, without_empty
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import UsageError
from tidemill.domain.table_rules import Budget, Rows, WideRule


@click.command()
@click.argument("stage")
@json_option
@where_options
def show(stage: str, as_json: bool) -> None:
    """The columns and rules of STAGE's contract, and what follows when each is broken."""
    with opened() as project:
        spec = project.stage(stage).output
    if spec is None:
        raise UsageError(f"{stage} has no contract: it makes no table")
    tell(_text(spec), as_json, "tidemill.contract.show/1", lambda: _body(spec))


def _text(spec: ContractSpec) -> str:
    headers = ("column", "type", "contract", "on_fail", "description")
    rows = [
        (c.name, str(c.dtype), rules_of(c) or "-", c.on_fail, c.description or "-")
        for c in spec.columns
    ]
    blocks = [_head(spec), table(*without_empty(headers, rows, "contract", "description"))]
    if spec.rules:
        asked = [(r.name, str(r.expr), r.on_fail) for r in spec.rules]
        blocks.append(table(("rule", "must hold", "on_fail"), asked))
    if spec.wider:
        beyond = [(r.name, str(r), r.on_fail) for r in spec.wider]
        blocks.append(table(("rule beyond the partition", "must hold", "on_fail"), beyond))
    return "\n\n".join(blocks)


def _head(spec: ContractSpec) -> str:
    return "\n".join((f"{spec.name} {spec.version} ({spec.place})", *_table_terms(spec)))


def _table_terms(spec: ContractSpec) -> Iterator[str]:
    if spec.description:
        yield f"  {spec.description}"
    yield f"  key: {', '.join(spec.key) or 'none'}; partitioned {spec.partitioning}"
    yield f"  unknown columns: {spec.unknown_columns}; compatibility: {spec.compatibility}"
    yield from (_counted(record) for record in (spec.rows, spec.budget) if record is not None)


def _counted(record: Rows | Budget) -> str:
    said = ((field.name, getattr(record, field.name)) for field in fields(record))
    told = ", ".join(f"{name} {value}" for name, value in said if value is not None)
    return f"  {type(record).__name__.lower()}: {told}"


def _body(spec: ContractSpec) -> dict[str, object]:
    rules = [
        {"name": r.name, "expr": str(r.expr), "digest": r.digest, "on_fail": r.on_fail}
        for r in spec.rules
    ]
    wider = [
        {"kind": type(r).__name__.removesuffix("Rule").lower(), "must_hold": str(r), **_told(r)}
        for r in spec.wider
    ]
    said = ("name", "version", "columns", "key", "rows", "budget", "unknown_columns")
    more = ("compatibility", "description", "place")
    return {
        **{name: getattr(spec, name) for name in (*said, *more)},
        "rules": rules,
        "wider": wider,
    }


def _told(rule: WideRule) -> dict[str, object]:
    return {field.name: getattr(rule, field.name) for field in fields(rule) if field.compare}
