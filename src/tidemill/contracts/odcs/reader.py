"""Contracts from a document of the Open Data Contract Standard, and what of it they don't represent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.odcs.document import Node
from tidemill.contracts.odcs.properties import Property, property_of
from tidemill.contracts.odcs.quality import table_checks
from tidemill.contracts.odcs.table_rules_reader import (
    Known,
    freshness,
    ordered,
    reference_of,
    references,
)
from tidemill.contracts.odcs.vocabulary import Customs
from tidemill.contracts.odcs.writer import identifier
from tidemill.contracts.spec import COMPATIBILITY, UNKNOWN_COLUMNS, ContractSpec
from tidemill.contracts.table_rules import Budget, WideRule
from tidemill.contracts.validity import contradictions
from tidemill.core.errors import ContractError

_VERSION = re.compile(r"(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The contracts of a document, one for each table, and every part that they don't represent.

    Each line of `unrepresented` begins with its path, such as `schema[0].properties[3].quality[1]`.
    """

    contracts: tuple[ContractSpec, ...]
    unrepresented: tuple[str, ...] = ()


def imported(
    document: Mapping[str, Any], *, file: str = "", unknown: Iterable[str] = ()
) -> Imported:
    """The contracts of a document; `unknown` are the paths of fields that the standard doesn't have.

    ContractError when the document isn't of version 3, or a table contradicts itself; all at once.
    """
    node = Node(document)
    _refuse_versions(node, file)
    version = _version(node)
    tables = node.parts("schema")
    _envelope(node, tables)
    levels = node.parts("slaProperties")
    begun = [table for item in tables if (table := _begun(item)) is not None]
    known = {table.name: {n: c.dtype for n, c in table.by_name.items()} for table in begun}
    found = [_contract(table, version, file, levels, known) for table in begun]
    for level in levels:
        level.whole()
    problems = [f"{spec.place}: {problem}" for spec in found for problem in contradictions(spec)]
    if problems:
        raise ContractError("\n".join(problems))
    fields = (f"{path}: no field of the standard" for path in unknown)
    return Imported(contracts=tuple(found), unrepresented=(*node.left(), *fields))


def _refuse_versions(node: Node, file: str) -> None:
    where = f"{file}: " if file else ""
    kind, version = node.take("kind"), str(node.take("apiVersion"))
    if kind != "DataContract":
        raise ContractError(f"{where}kind: {kind!r} is not DataContract")
    if not re.fullmatch(r"v?3(\.\d+)*", version):
        raise ContractError(f"{where}apiVersion: {version!r} is not version 3, such as v3.1.0")


def _version(node: Node) -> str:
    told = str(node.take("version"))
    found = _VERSION.fullmatch(told)
    if found is None:
        node.note("version", f"{told!r} is not MAJOR.MINOR.PATCH; 1.0.0 is taken")
        return "1.0.0"
    version = ".".join(part or "0" for part in found.groups())
    if version != told:
        node.note("version", f"{told} is read as {version}")
    return version


def _envelope(node: Node, tables: Sequence[Node]) -> None:
    """What a document says about itself, where that is what an export says."""
    names = [str(table.peek("name")) for table in tables]
    node.take_if("status", "active")
    node.take_if("name", *names[:1])
    node.take_if("id", *map(identifier, names[:1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table of which the columns have been read."""

    node: Node
    name: str
    columns: tuple[Property, ...]

    @property
    def by_name(self) -> dict[str, Column]:
        return {item.column.name: item.column for item in self.columns}


def _begun(node: Node) -> _Table | None:
    """The columns of a table; None, and the table listed, when a contract can have none of them."""
    name = node.take("name")
    found = _properties(node)
    if not name or not found:
        node.refuse("no columns that a contract can have" if name else "a table without a name")
        return None
    return _Table(node=node, name=str(name), columns=tuple(_partitioned(found)))


def _contract(
    table: _Table, version: str, file: str, levels: Sequence[Node], known: Known
) -> ContractSpec:
    node, customs = table.node, Customs(table.node)
    node.take_if("physicalType", "table")
    node.take_if("deprecated", False)
    node.take_if("logicalType", "object")
    checks = table_checks(node, table.by_name)
    wider: list[WideRule] = [
        *checks.wider,
        *references(node, table.name, table.by_name, known),
        *_references_of(table, known),
        *freshness(levels, customs, table.name, table.by_name),
    ]
    return ContractSpec(
        name=table.name,
        version=version,
        columns=tuple(item.column for item in table.columns),
        key=_key(table.columns),
        rules=tuple(checks.rules.values()),
        rows=checks.rows,
        wider=ordered(wider, customs),
        budget=_budget(customs),
        # The standard lets a table have more columns than are described.
        unknown_columns=customs.take("unknownColumns", UNKNOWN_COLUMNS.__contains__) or "keep",
        compatibility=customs.take("compatibility", COMPATIBILITY.__contains__) or "none",
        description=node.take("description") or "",
        place=f"{file}: {node.path}" if file else node.path,
    )


def _properties(table: Node) -> list[Property]:
    """The columns of a table; a second one of the same name is listed."""
    found: dict[str, Property] = {}
    for node in table.parts("properties"):
        item = property_of(node)
        if item is not None and item.column.name in found:
            node.refuse(f"a second property {item.column.name!r}")
        elif item is not None:
            found[item.column.name] = item
    return list(found.values())


def _references_of(table: _Table, known: Known) -> Iterator[WideRule]:
    """The relationships that stand at a property."""
    for item in table.columns:
        for node in item.node.parts("relationships"):
            rule = reference_of(node, item.column, table.name, known)
            if rule is not None:
                yield rule


def _key(found: Sequence[Property]) -> tuple[str, ...]:
    keyed = sorted((item for item in found if item.key is not None), key=lambda item: item.key or 0)
    for item in keyed:
        if item.column.dtype.is_nested:
            item.node.note("primaryKey", f"a {item.column.dtype.name} has no order")
    return tuple(item.column.name for item in keyed if not item.column.dtype.is_nested)


def _partitioned(found: Sequence[Property]) -> list[Property]:
    """The columns, of which the first that can be the partition is."""
    able = [item for item in found if item.partitioned is not None and not _unfit(item)]
    first = min(able, key=lambda item: item.partitioned or 0, default=None)
    return list(_cut(found, first))


def _cut(found: Sequence[Property], first: Property | None) -> Iterator[Property]:
    for item in found:
        if item.partitioned is None or item is first:
            yield item
            continue
        why = _unfit(item) or "a table is partitioned by one column"
        item.node.note("partitioned", why)
        yield replace(item, column=replace(item.column, partition=None))


def _unfit(item: Property) -> str:
    column = item.column
    if column.nullable:
        return "a column that may be null can't be the partition"
    if column.dtype.is_nested or column.dtype.name.startswith("Float"):
        return f"a {column.dtype} can't be the partition"
    return ""


def _budget(customs: Customs) -> Budget | None:
    told = customs.take("budget", lambda value: isinstance(value, Mapping))
    try:
        return Budget(max_bad=told["maxBad"]) if told else None
    except (ContractError, KeyError, TypeError) as error:
        customs.refuse("budget", f"the custom property tidemillBudget: {error}")
        return None
