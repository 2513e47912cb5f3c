"""Read table rules from the relationships, service levels and checks of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.vocabulary import SEVERITIES, CustomProperties
from tidemill.contracts.table_rule_validity import table_rule_problems
from tidemill.contracts.table_rules import (
    CONSEQUENCES,
    Consequence,
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    TableRule,
    UniqueRule,
)

Columns: TypeAlias = Mapping[str, Column]
# The types of the columns of each table of the document.
TableTypes: TypeAlias = Mapping[str, Mapping[str, DType]]

_UNITS = {
    **{name: "h" for name in ("h", "hr", "hour", "hours")},
    **{name: "d" for name in ("d", "day", "days")},
    **{name: "w" for name in ("w", "week", "weeks")},
    **{name: "mo" for name in ("mo", "month", "months")},
}
_REFERENCE = re.compile(r"([^./#]+)\.([^./#]+)")


def severity_of(check: DocumentNode) -> Consequence:
    """Return the consequence of a check: an error fails, and so does a missing severity."""
    check.take_if("severity", *SEVERITIES.values(), "info")
    return "warn" if check.peek("severity") in ("warning", "info") else "fail"


def read_unique_rule(check: DocumentNode, columns: Columns) -> UniqueRule | None:
    """Read a uniqueness rule over several columns; None if it is another check."""
    arguments = check.part("arguments")
    properties = arguments.take("properties")
    if not isinstance(properties, list) or not properties:
        return None
    names = tuple(map(str, properties))
    name = check.take("name") or f"unique_{'_'.join(names)}"
    rule = UniqueRule(columns=names, **_common_fields(check, str(name)))
    return rule if _is_valid(rule, columns, check) else None


def read_custom_rule(check: DocumentNode, columns: Columns) -> TableRule | None:
    """Read a rule from a custom check of Tidemill; None, with the reason listed, if it is invalid."""
    given: Mapping[str, Any] = check.peek("implementation")
    listed = given.get("columns")
    names = tuple(map(str, listed)) if isinstance(listed, list) else ()
    common = _common_fields(check, str(check.take("name")))
    rule: TableRule
    if given.get("check") == "drift":
        how = {"by": given.get("by"), "limit": given.get("limit"), "vs_last": given.get("vsLast")}
        rule = DriftRule(columns=names, **how, **common)  # type: ignore[arg-type]
    elif given.get("check") == "driftAlarm":
        alarm: dict[str, Any] = {name: given.get(name) for name in ("reference", "tolerance")}
        rule = DriftAlarmRule(columns=names, **alarm, **common)
    else:
        to = given.get("to")
        there = tuple(map(str, to)) if isinstance(to, list) else ()
        contract, stage = str(given.get("contract")), str(given.get("stage", ""))
        rule = ReferenceRule(columns=names, to=there, contract=contract, stage=stage, **common)
    for key in ("type", "engine", "implementation"):
        check.take(key)
    return rule if _is_valid(rule, columns, check) else None


def _common_fields(check: DocumentNode, name: str) -> dict[str, Any]:
    description = check.take("description") or ""
    return {"name": name, "description": description, "on_fail": severity_of(check)}


def _is_valid(rule: TableRule, columns: Columns, node: DocumentNode) -> bool:
    """Whether a rule is consistent with the columns; if not, the reason is listed."""
    problem = next(iter(table_rule_problems(rule, columns)), None)
    if problem is not None:
        node.refuse(problem)
    return problem is None


def read_references(
    table: DocumentNode, name: str, columns: Columns, known: TableTypes
) -> Iterator[ReferenceRule]:
    """Read the relationships of a table as references."""
    for node in table.parts("relationships"):
        rule = _reference(node, node.peek("from"), name, columns, known)
        if rule is not None:
            node.take("from")
            yield rule


def read_reference(
    node: DocumentNode, column: Column, table: str, known: TableTypes
) -> ReferenceRule | None:
    """Read the relationship of a property as a reference."""
    return _reference(node, f"{table}.{column.name}", table, {column.name: column}, known)


def _reference(
    node: DocumentNode, own: Any, table: str, columns: Columns, known: TableTypes
) -> ReferenceRule | None:
    here, there = _split_reference(own), _split_reference(node.peek("to"))
    if node.peek("type") not in (None, "foreignKey") or not here or not there:
        node.refuse(f"from {own} to {node.peek('to')}")
        return None
    if here[0] != table:
        node.refuse(f"from {own}, which is another table")
        return None
    customs = CustomProperties(node)
    rule = ReferenceRule(
        columns=here[1],
        contract=there[0],
        to=there[1],
        name=customs.take("name") or f"{'_'.join(here[1])}_in_{there[0]}",
        on_fail=customs.take("onFail", CONSEQUENCES.__contains__) or "fail",
        stage=customs.take("stage") or "",
        description=customs.take("description") or "",
        types=known.get(there[0]),
    )
    node.take("type")
    node.take("to")
    return rule if _is_valid(rule, columns, node) else None


def _split_reference(value: Any) -> tuple[str, tuple[str, ...]] | None:
    """Split `table.column`, or a list of them for one table, into the table and its columns."""
    items = value if isinstance(value, list) else [value]
    found = [_REFERENCE.fullmatch(str(item)) for item in items]
    tables = {match[1] for match in found if match}
    if None in found or len(tables) != 1:
        return None
    return tables.pop(), tuple(match[2] for match in found if match)


def read_freshness(
    levels: Sequence[DocumentNode], customs: CustomProperties, table: str, columns: Columns
) -> Iterator[FreshnessRule]:
    """Read the service levels about the freshness of a table's columns."""
    elements = {f"{table}.{name}": name for name in columns}
    known = [*(customs.take("freshness", lambda value: isinstance(value, list)) or [])]
    for level in levels:
        column = elements.get(str(level.peek("element")))
        unit, count = _UNITS.get(str(level.peek("unit"))), level.peek("value")
        is_fresh = str(level.peek("property")).lower() == "freshness"
        if column is None or not is_fresh or not isinstance(count, int):
            continue
        extra = _pop_column(known, column) or {"name": f"{column}_fresh", "onFail": "warn"}
        rule = FreshnessRule(
            column=column,
            within=f"{count}{unit}",
            name=str(extra.get("name")),
            on_fail=extra.get("onFail", "warn"),
            description=level.peek("description") or "",
        )
        if _is_valid(rule, columns, level):
            for key in ("property", "value", "unit", "element", "description"):
                level.take(key)
            yield rule
    if known:
        customs.refuse("freshness", "the custom property tidemillFreshness: no such service level")


def _pop_column(known: list[Any], column: str) -> Mapping[str, Any] | None:
    """Remove and return the first entry for a column."""
    for entry in known:
        if isinstance(entry, Mapping) and entry.get("column") == column:
            known.remove(entry)
            return entry
    return None


def sort_rules(rules: Sequence[TableRule], customs: CustomProperties) -> tuple[TableRule, ...]:
    """Sort rules in the order that the table declares; number repeated names."""
    declared = customs.take("order", lambda value: isinstance(value, list)) or []
    place = {name: at for at, name in enumerate(declared) if isinstance(name, str)}
    named: dict[str, TableRule] = {}
    for rule in rules:
        name, number = rule.name, 2
        while name in named:
            name, number = f"{rule.name}_{number}", number + 1
        named[name] = replace(rule, name=name)
    return tuple(sorted(named.values(), key=lambda rule: place.get(rule.name, len(declared))))
