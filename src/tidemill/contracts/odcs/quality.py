"""The checks of a document as what a column, the number of rows, or a rule says.

A check is taken when it says the same as one of these, with the same severity; any other is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.odcs import expressions
from tidemill.contracts.odcs.counts import OPERATORS, Count, count_of, said
from tidemill.contracts.odcs.document import Node
from tidemill.contracts.odcs.table_rules_reader import Columns, own_of, severity_of, unique_of
from tidemill.contracts.odcs.values import decoded
from tidemill.contracts.odcs.vocabulary import ENGINE, SEVERITIES, Customs
from tidemill.contracts.spec import Rule
from tidemill.contracts.table_rules import Rows, WideRule
from tidemill.core.errors import ContractError

# Version 3.0 called a metric a rule.
_METRICS = {
    **{name: name for name in ("nullValues", "missingValues", "invalidValues", "duplicateValues")},
    **{"rowCount": "rowCount", "nullCheck": "nullValues", "duplicateCount": "duplicateValues"},
    **{"validValues": "invalidValues", "countCheck": "rowCount"},
}


def metric_of(check: Node) -> str:
    """The metric of a check of the library; empty, and the check listed, for any other check."""
    kind = check.take("type") or "library"
    told = check.take("metric") or check.take("rule")
    if kind != "library":
        engine = check.peek("engine")
        check.refuse(f"type {kind}{f', engine {engine}' if engine else ''}")
        return ""
    if told not in _METRICS:
        check.refuse(f"metric {told}" if told else "no metric")
        return ""
    check.refuse(f"{told} {said(check)}".strip())
    return _METRICS[str(told)]


def enum_values(node: Node, column: Column) -> Column:
    """A column with the allowed values that version 3.2 has a field for; their labels are listed."""
    told = node.peek("enum")
    if not told or column.dtype.is_nested:
        return column
    try:
        isin = tuple(decoded(item.take("value"), column.dtype) for item in node.parts("enum"))
    except ValueError as error:
        node.note("enum", f"values of a {column.dtype}: {error}")
        return column
    return replace(column, isin=isin)


def column_checks(node: Node, column: Column) -> Column:
    """A column with what its checks say."""
    for check in node.parts("quality"):
        metric = metric_of(check)
        if metric and _is_severity(check, column):
            found = _said_by(metric, check, column)
            if found is not None:
                column = found
                _accept(check)
    return column


def _is_severity(check: Node, column: Column) -> bool:
    """Whether a check is as severe as its column: a column has one severity for all that it says."""
    told = check.peek("severity")
    if told is None or (told == "warning") == (column.on_fail == "warn"):
        return True
    check.refuse(f"{check.peek('metric') or 'a check'} with a severity of its own, {told}")
    return False


def _accept(check: Node) -> None:
    check.refuse("")
    check.take_if("severity", *SEVERITIES.values())
    check.take_if("unit", "rows", "percent")
    check.take_if("name", "isin", "categories", "rows")
    for name in OPERATORS:
        check.take(name)


def _said_by(metric: str, check: Node, column: Column) -> Column | None:
    count = count_of(check)
    if count is None or not count.is_none:
        return None
    read = _COLUMN_CHECKS.get(metric)
    return read(check, column) if read else None


def _never_null(check: Node, column: Column) -> Column | None:
    return replace(column, nullable=False)


def _never_missing(check: Node, column: Column) -> Column | None:
    arguments = check.part("arguments")
    if arguments.take("missingValues") not in (None, [None]):
        return None
    return replace(column, nullable=False)


def _never_twice(check: Node, column: Column) -> Column | None:
    return None if column.dtype.is_nested else replace(column, unique=True)


def _valid(check: Node, column: Column) -> Column | None:
    arguments = check.part("arguments")
    values, pattern = arguments.take("validValues"), arguments.take("pattern")
    if isinstance(values, list) and pattern is None:
        return _among(check, column, values)
    fits = column.dtype.name == "String" and column.regex is None
    if isinstance(pattern, str) and values is None and fits:
        return replace(column, regex=pattern)
    return None


def _among(check: Node, column: Column, values: list[Any]) -> Column | None:
    if column.dtype.name == "Enum" and check.peek("name") == "categories":
        return column
    if column.isin is not None or not values:
        return None
    try:
        isin = tuple(decoded(value, column.dtype) for value in values)
    except ValueError as error:
        check.refuse(f"validValues of a {column.dtype}: {error}")
        return None
    return replace(column, isin=isin)


_COLUMN_CHECKS: Mapping[str, Callable[[Node, Column], Column | None]] = {
    "nullValues": _never_null,
    "missingValues": _never_missing,
    "invalidValues": _valid,
    "duplicateValues": _never_twice,
}


@dataclass(slots=True, kw_only=True)
class TableChecks:
    """What the checks of a table say about its rows, alone and together."""

    rows: Rows | None = None
    rules: dict[str, Rule] = field(default_factory=dict)
    wider: list[WideRule] = field(default_factory=list)


def table_checks(node: Node, columns: Columns) -> TableChecks:
    """What the checks of a table say about the number of its rows, and its rules."""
    found = TableChecks()
    for check in node.parts("quality"):
        match _own_kind(check) or metric_of(check):
            case "rule":
                _add(_rule(check), check, found.rules)
            case "rows" | "rowCount":
                found.rows = _rows(check) if found.rows is None else found.rows
            case "drift" | "references":
                found.wider += filter(None, [own_of(check, columns)])
            case "duplicateValues":
                found.wider += filter(None, [_once(check, columns)])
    return found


def _add(rule: Rule | None, check: Node, rules: dict[str, Rule]) -> None:
    if rule is not None and rule.name in rules:
        check.refuse(f"a second rule {rule.name!r}")
    elif rule is not None:
        rules[rule.name] = rule


def _once(check: Node, columns: Columns) -> WideRule | None:
    count = count_of(check)
    if count is None or not count.is_none:
        return None
    rule = unique_of(check, columns)
    if rule is not None:
        _accept(check)
    return rule


def _own_kind(check: Node) -> str:
    """What kind of our own check it is; empty when it is none."""
    told = check.peek("implementation")
    if check.peek("engine") != ENGINE or not isinstance(told, Mapping):
        return ""
    kind = str(told.get("check"))
    return kind if kind in ("rule", "rows", "drift", "references") else ""


def _rule(check: Node) -> Rule | None:
    try:
        expr = expressions.read(check.peek("implementation"))
    except ValueError as error:
        check.refuse(f"rule {check.peek('name')}: {error}")
        return None
    for key in ("type", "engine", "implementation"):
        check.take(key)
    return Rule(
        name=str(check.take("name")),
        expr=expr,
        on_fail=_on_fail(check),
        description=check.take("description") or "",
    )


def _on_fail(check: Node) -> OnFail:
    """What follows for a row: an error fails, unless it says that it quarantines."""
    told: OnFail | None = Customs(check).take("onFail", lambda value: value == "quarantine")
    by_severity: OnFail = severity_of(check)
    return told if told and by_severity == "fail" else by_severity


def _rows(check: Node) -> Rows | None:
    told, customs = count_of(check), Customs(check)
    last = customs.take("vsLast", lambda value: isinstance(value, int))
    within = customs.take("within", lambda value: isinstance(value, int | float))
    bounded = check.peek("metric") or check.peek("rule")
    if bounded and told is None:
        return None
    count = told or Count()
    try:
        rows = Rows(
            min=count.least,
            max=count.most,
            vs_last=last,
            within=within,
            on_fail=severity_of(check),
        )
    except ContractError as error:
        check.refuse(str(error))
        return None
    _accept(check)
    for key in ("type", "engine", "implementation", "metric", "rule"):
        check.take(key)
    return rows
