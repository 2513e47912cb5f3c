"""Read contracts from a document of the Open Data Contract Standard, and list what they can't express."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.properties import Property, read_property
from tidemill.contracts.odcs.quality import read_table_checks
from tidemill.contracts.odcs.table_rules_reader import (
    TableTypes,
    read_freshness,
    read_reference,
    read_references,
    sort_rules,
)
from tidemill.contracts.odcs.vocabulary import CustomProperties
from tidemill.contracts.odcs.writer import document_id
from tidemill.contracts.spec import COMPATIBILITY, UNKNOWN_COLUMNS, ContractSpec
from tidemill.contracts.table_rules import Budget, TableRule
from tidemill.contracts.validity import contradictions
from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass

_VERSION = re.compile(r"(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedContracts:
    """The contracts of a document, one per table, and every part that they don't represent.

    Each line of `unrepresented` begins with its path, such as `schema[0].properties[3].quality[1]`.
    """

    contracts: tuple[ContractSpec, ...]
    unrepresented: tuple[str, ...] = ()


def read_document(
    document: Mapping[str, Any], *, file: str = "", unknown: Iterable[str] = ()
) -> ImportedContracts:
    """Read the contracts of a document; `unknown` are the paths of fields that the standard doesn't define.

    ContractError if the document isn't of version 3, or with all inconsistencies of its tables.
    """
    node = DocumentNode(document)
    _refuse_versions(node, file)
    version = _version(node)
    tables = node.parts("schema")
    _envelope(node, tables)
    levels = node.parts("slaProperties")
    read = [table for item in tables if (table := _read_table(item)) is not None]
    known = {table.name: {n: c.dtype for n, c in table.by_name.items()} for table in read}
    found = [_contract(table, version, file, levels, known) for table in read]
    for level in levels:
        level.refuse_if_untaken()
    problems = [f"{spec.place}: {problem}" for spec in found for problem in contradictions(spec)]
    if problems:
        raise ContractError("\n".join(problems))
    fields = (f"{path}: not a field of the standard" for path in unknown)
    return ImportedContracts(contracts=tuple(found), unrepresented=(*node.unrepresented(), *fields))


def _refuse_versions(node: DocumentNode, file: str) -> None:
    where = f"{file}: " if file else ""
    kind, version = node.take("kind"), str(node.take("apiVersion"))
    if kind != "DataContract":
        raise ContractError(f"{where}kind: {kind!r} is not DataContract")
    if not re.fullmatch(r"v?3(\.\d+)*", version):
        raise ContractError(f"{where}apiVersion: {version!r} is not version 3, such as v3.1.0")


def _version(node: DocumentNode) -> str:
    text = str(node.take("version"))
    found = _VERSION.fullmatch(text)
    if found is None:
        node.note("version", f"{text!r} is not MAJOR.MINOR.PATCH; it is read as 1.0.0")
        return "1.0.0"
    version = ".".join(part or "0" for part in found.groups())
    if version != text:
        node.note("version", f"{text} is read as {version}")
    return version


def _envelope(node: DocumentNode, tables: Sequence[DocumentNode]) -> None:
    """Take the document's own fields if they have the values that the writer produces."""
    names = [str(table.peek("name")) for table in tables]
    node.take_if("status", "active")
    node.take_if("name", *names[:1])
    node.take_if("id", *map(document_id, names[:1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table whose columns have been read."""

    node: DocumentNode
    name: str
    columns: tuple[Property, ...]

    @property
    def by_name(self) -> dict[str, Column]:
        return {item.column.name: item.column for item in self.columns}


def _read_table(node: DocumentNode) -> _Table | None:
    """Read the columns of a table; None, with the table listed, if a contract can't express any."""
    name = node.take("name")
    found = _properties(node)
    if not name or not found:
        node.refuse("no columns that a contract can express" if name else "a table without a name")
        return None
    return _Table(node=node, name=str(name), columns=tuple(_partition_columns(found)))


def _contract(
    table: _Table, version: str, file: str, levels: Sequence[DocumentNode], known: TableTypes
) -> ContractSpec:
    node, customs = table.node, CustomProperties(table.node)
    node.take_if("physicalType", "table")
    node.take_if("deprecated", False)
    node.take_if("logicalType", "object")
    checks = read_table_checks(node, table.by_name)
    wider: list[TableRule] = [
        *checks.table_rules,
        *read_references(node, table.name, table.by_name, known),
        *_references_of(table, known),
        *read_freshness(levels, customs, table.name, table.by_name),
    ]
    return ContractSpec(
        name=table.name,
        version=version,
        columns=tuple(item.column for item in table.columns),
        key=_key(table.columns),
        rules=tuple(checks.rules.values()),
        rows=checks.rows,
        table_rules=sort_rules(wider, customs),
        budget=_budget(customs),
        # The standard allows columns that the document doesn't describe.
        unknown_columns=customs.take("unknownColumns", UNKNOWN_COLUMNS.__contains__) or "keep",
        compatibility=customs.take("compatibility", COMPATIBILITY.__contains__) or "none",
        description=node.take("description") or "",
        place=f"{file}: {node.path}" if file else node.path,
    )


def _properties(table: DocumentNode) -> list[Property]:
    """Read the columns of a table; a second one with the same name is listed."""
    found: dict[str, Property] = {}
    for node in table.parts("properties"):
        item = read_property(node)
        if item is not None and item.column.name in found:
            node.refuse(f"a second property {item.column.name!r}")
        elif item is not None:
            found[item.column.name] = item
    return list(found.values())


def _references_of(table: _Table, known: TableTypes) -> Iterator[TableRule]:
    """Read the relationships of properties."""
    for item in table.columns:
        for node in item.node.parts("relationships"):
            rule = read_reference(node, item.column, table.name, known)
            if rule is not None:
                yield rule


def _key(found: Sequence[Property]) -> tuple[str, ...]:
    keyed = sorted(
        (item for item in found if item.key_position is not None),
        key=lambda item: item.key_position or 0,
    )
    for item in keyed:
        if item.column.dtype.is_nested:
            item.node.note("primaryKey", f"a {item.column.dtype.name} has no order")
    return tuple(item.column.name for item in keyed if not item.column.dtype.is_nested)


def _partition_columns(found: Sequence[Property]) -> list[Property]:
    """Return the columns, with the first suitable one as the partition column."""
    able = [
        item
        for item in found
        if item.partition_position is not None and not _partition_problem(item)
    ]
    first = min(able, key=lambda item: item.partition_position or 0, default=None)
    return list(_with_one_partition(found, first))


def _with_one_partition(found: Sequence[Property], first: Property | None) -> Iterator[Property]:
    for item in found:
        if item.partition_position is None or item is first:
            yield item
            continue
        why = _partition_problem(item) or "a table is partitioned by one column only"
        item.node.note("partitioned", why)
        yield replace(item, column=replace(item.column, partition=None))


def _partition_problem(item: Property) -> str:
    column = item.column
    if column.nullable:
        return "a nullable column can't be the partition column"
    if column.dtype.is_nested or column.dtype.name.startswith("Float"):
        return f"a {column.dtype} can't be the partition column"
    return ""


def _budget(customs: CustomProperties) -> Budget | None:
    budget = customs.take("budget", lambda value: isinstance(value, Mapping))
    try:
        return Budget(max_bad=budget["maxBad"]) if budget else None
    except (ContractError, KeyError, TypeError) as error:
        customs.refuse("budget", f"the custom property tidemillBudget: {error}")
        return None
