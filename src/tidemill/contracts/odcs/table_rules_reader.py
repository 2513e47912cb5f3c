"""Relationships, service levels and checks of a document as rules that look beyond the partition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.document import Node
from tidemill.contracts.odcs.vocabulary import SEVERITIES, Customs
from tidemill.contracts.table_rule_validity import wide_problems
from tidemill.contracts.table_rules import (
    CONSEQUENCES,
    Consequence,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    UniqueRule,
    WideRule,
)

Columns: TypeAlias = Mapping[str, Column]
# The types of the columns of each table of the document.
Known: TypeAlias = Mapping[str, Mapping[str, DType]]

_UNITS = {
    **{name: "h" for name in ("h", "hr", "hour", "hours")},
    **{name: "d" for name in ("d", "day", "days")},
    **{name: "w" for name in ("w", "week", "weeks")},
    **{name: "mo" for name in ("mo", "month", "months")},
}
_REFERENCE = re.compile(r"([^./#]+)\.([^./#]+)")


def severity_of(check: Node) -> Consequence:
    """What follows from a check: an error fails, and so does one that doesn't say."""
    check.take_if("severity", *SEVERITIES.values(), "info")
    return "warn" if check.peek("severity") in ("warning", "info") else "fail"


def unique_of(check: Node, columns: Columns) -> UniqueRule | None:
    """The rule of a check that columns together come only once; None when it is another check."""
    arguments = check.part("arguments")
    named = arguments.take("properties")
    if not isinstance(named, list) or not named:
        return None
    names = tuple(map(str, named))
    called = check.take("name") or f"unique_{'_'.join(names)}"
    rule = UniqueRule(columns=names, **_told(check, str(called)))
    return rule if _stands(rule, columns, check) else None


def own_of(check: Node, columns: Columns) -> WideRule | None:
    """A rule that has a check of this package; None, with the reason listed, when it is none."""
    told: Mapping[str, Any] = check.peek("implementation")
    named = told.get("columns")
    names = tuple(map(str, named)) if isinstance(named, list) else ()
    said = _told(check, str(check.take("name")))
    rule: WideRule
    if told.get("check") == "drift":
        how = {"by": told.get("by"), "limit": told.get("limit"), "vs_last": told.get("vsLast")}
        rule = DriftRule(columns=names, **how, **said)  # type: ignore[arg-type]
    else:
        to = told.get("to")
        there = tuple(map(str, to)) if isinstance(to, list) else ()
        contract, stage = str(told.get("contract")), str(told.get("stage", ""))
        rule = ReferenceRule(columns=names, to=there, contract=contract, stage=stage, **said)
    for key in ("type", "engine", "implementation"):
        check.take(key)
    return rule if _stands(rule, columns, check) else None


def _told(check: Node, name: str) -> dict[str, Any]:
    description = check.take("description") or ""
    return {"name": name, "description": description, "on_fail": severity_of(check)}


def _stands(rule: WideRule, columns: Columns, node: Node) -> bool:
    """Whether a rule fits the columns; if not, why is listed."""
    problem = next(iter(wide_problems(rule, columns)), None)
    if problem is not None:
        node.refuse(problem)
    return problem is None


def references(table: Node, name: str, columns: Columns, known: Known) -> Iterator[ReferenceRule]:
    """The relationships of a table and of its properties, by the names of tables and columns."""
    for node in table.parts("relationships"):
        rule = _reference(node, node.peek("from"), name, columns, known)
        if rule is not None:
            node.take("from")
            yield rule


def reference_of(node: Node, column: Column, table: str, known: Known) -> ReferenceRule | None:
    """The relationship of one property."""
    return _reference(node, f"{table}.{column.name}", table, {column.name: column}, known)


def _reference(
    node: Node, own: Any, table: str, columns: Columns, known: Known
) -> ReferenceRule | None:
    here, there = _parted(own), _parted(node.peek("to"))
    if node.peek("type") not in (None, "foreignKey") or not here or not there:
        node.refuse(f"from {own} to {node.peek('to')}")
        return None
    if here[0] != table:
        node.refuse(f"from {own}, which is another table")
        return None
    customs = Customs(node)
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
    return rule if _stands(rule, columns, node) else None


def _parted(told: Any) -> tuple[str, tuple[str, ...]] | None:
    """The table and its columns that `table.column`, or several of one table, name."""
    items = told if isinstance(told, list) else [told]
    found = [_REFERENCE.fullmatch(str(item)) for item in items]
    tables = {match[1] for match in found if match}
    if None in found or len(tables) != 1:
        return None
    return tables.pop(), tuple(match[2] for match in found if match)


def freshness(
    levels: Sequence[Node], customs: Customs, table: str, columns: Columns
) -> Iterator[FreshnessRule]:
    """The service levels that say how fresh a column of the table is."""
    elements = {f"{table}.{name}": name for name in columns}
    known = [*(customs.take("freshness", lambda value: isinstance(value, list)) or [])]
    for level in levels:
        column = elements.get(str(level.peek("element")))
        unit, count = _UNITS.get(str(level.peek("unit"))), level.peek("value")
        is_fresh = str(level.peek("property")).lower() == "freshness"
        if column is None or not is_fresh or not isinstance(count, int):
            continue
        said = _next(known, column) or {"name": f"{column}_fresh", "onFail": "warn"}
        rule = FreshnessRule(
            column=column,
            within=f"{count}{unit}",
            name=str(said.get("name")),
            on_fail=said.get("onFail", "warn"),
            description=level.peek("description") or "",
        )
        if _stands(rule, columns, level):
            for key in ("property", "value", "unit", "element", "description"):
                level.take(key)
            yield rule
    if known:
        customs.refuse("freshness", "the custom property tidemillFreshness: of no service level")


def _next(known: list[Any], column: str) -> Mapping[str, Any] | None:
    """What is said of the next rule of a column; each is given once."""
    for said in known:
        if isinstance(said, Mapping) and said.get("column") == column:
            known.remove(said)
            return said
    return None


def ordered(rules: Sequence[WideRule], customs: Customs) -> tuple[WideRule, ...]:
    """In the order that the table says; a name that comes again is told apart by a number."""
    told = customs.take("order", lambda value: isinstance(value, list)) or []
    place = {name: at for at, name in enumerate(told) if isinstance(name, str)}
    named: dict[str, WideRule] = {}
    for rule in rules:
        name, again = rule.name, 2
        while name in named:
            name, again = f"{rule.name}_{again}", again + 1
        named[name] = replace(rule, name=name)
    return tuple(sorted(named.values(), key=lambda rule: place.get(rule.name, len(told))))
