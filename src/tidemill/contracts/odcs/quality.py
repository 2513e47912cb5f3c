"""Read the quality checks of a document as terms of a column, bounds on rows, or rules.

A check is represented if a contract can express it with the same severity; any other check is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.odcs import expressions
from tidemill.contracts.odcs.counts import OPERATORS, CountRange, count_of, format_operators
from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.table_rules_reader import (
    Columns,
    read_custom_rule,
    read_unique_rule,
    severity_of,
)
from tidemill.contracts.odcs.values import decode
from tidemill.contracts.odcs.vocabulary import ENGINE, SEVERITIES, CustomProperties
from tidemill.contracts.spec import Rule
from tidemill.contracts.table_rules import Rows, TableRule
from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass

# Version 3.0 called a metric a rule.
_METRICS = {
    **{name: name for name in ("nullValues", "missingValues", "invalidValues", "duplicateValues")},
    **{"rowCount": "rowCount", "nullCheck": "nullValues", "duplicateCount": "duplicateValues"},
    **{"validValues": "invalidValues", "countCheck": "rowCount"},
}


def metric_of(check: DocumentNode) -> str:
    """Return the metric of a library check; "", with the check listed, for any other check."""
    kind = check.take("type") or "library"
    metric = check.take("metric") or check.take("rule")
    if kind != "library":
        engine = check.peek("engine")
        check.refuse(f"type {kind}{f', engine {engine}' if engine else ''}")
        return ""
    if str(metric) not in _METRICS:
        check.refuse(f"metric {metric}" if metric else "no metric")
        return ""
    check.refuse(f"{metric} {format_operators(check)}".strip())
    return _METRICS[str(metric)]


def apply_enum(node: DocumentNode, column: Column) -> Column:
    """Add the allowed values from the field `enum` (version 3.2) to a column; their labels are listed."""
    if not node.peek("enum") or column.dtype.is_nested:
        return column
    try:
        isin = tuple(decode(item.take("value"), column.dtype) for item in node.parts("enum"))
    except ValueError as error:
        node.note("enum", f"values of a {column.dtype}: {error}")
        return column
    return replace(column, isin=isin)


def apply_column_checks(node: DocumentNode, column: Column) -> Column:
    """Add the terms of its checks to a column."""
    for check in node.parts("quality"):
        metric = metric_of(check)
        if metric and _is_severity(check, column):
            found = _apply_check(metric, check, column)
            if found is not None:
                column = found
                _accept(check)
    return column


def _is_severity(check: DocumentNode, column: Column) -> bool:
    """Whether a check has the severity of its column, which has only one for all of its terms."""
    severity = check.peek("severity")
    if severity is None or (severity == "warning") == (column.on_fail == "warn"):
        return True
    check.refuse(f"{check.peek('metric') or 'a check'} with another severity, {severity}")
    return False


def _accept(check: DocumentNode) -> None:
    check.refuse("")
    check.take_if("severity", *SEVERITIES.values())
    check.take_if("unit", "rows", "percent")
    check.take_if("name", "isin", "categories", "rows")
    for name in OPERATORS:
        check.take(name)


def _apply_check(metric: str, check: DocumentNode, column: Column) -> Column | None:
    count = count_of(check)
    if count is None or not count.is_zero:
        return None
    read = _COLUMN_CHECKS.get(metric)
    return read(check, column) if read else None


def _never_null(check: DocumentNode, column: Column) -> Column | None:
    return replace(column, nullable=False)


def _never_missing(check: DocumentNode, column: Column) -> Column | None:
    arguments = check.part("arguments")
    if arguments.take("missingValues") not in (None, [None]):
        return None
    return replace(column, nullable=False)


def _never_twice(check: DocumentNode, column: Column) -> Column | None:
    return None if column.dtype.is_nested else replace(column, unique=True)


def _valid(check: DocumentNode, column: Column) -> Column | None:
    arguments = check.part("arguments")
    values, pattern = arguments.take("validValues"), arguments.take("pattern")
    if isinstance(values, list) and pattern is None:
        return _among(check, column, values)
    fits = column.dtype.name == "String" and column.regex is None
    if isinstance(pattern, str) and values is None and fits:
        return replace(column, regex=pattern)
    return None


def _among(check: DocumentNode, column: Column, values: list[Any]) -> Column | None:
    if column.dtype.name == "Enum" and check.peek("name") == "categories":
        return column
    if column.isin is not None or not values:
        return None
    try:
        isin = tuple(decode(value, column.dtype) for value in values)
    except ValueError as error:
        check.refuse(f"validValues of a {column.dtype}: {error}")
        return None
    return replace(column, isin=isin)


_COLUMN_CHECKS: Mapping[str, Callable[[DocumentNode, Column], Column | None]] = {
    "nullValues": _never_null,
    "missingValues": _never_missing,
    "invalidValues": _valid,
    "duplicateValues": _never_twice,
}


@dataclass(slots=True, kw_only=True)
class TableChecks:
    """The row bounds and rules that are read from the checks of a table."""

    rows: Rows | None = None
    rules: dict[str, Rule] = field(default_factory=dict)
    table_rules: list[TableRule] = field(default_factory=list)


def read_table_checks(node: DocumentNode, columns: Columns) -> TableChecks:
    """Read the bounds on the number of rows, and the rules, from the checks of a table."""
    found = TableChecks()
    for check in node.parts("quality"):
        match _own_kind(check) or metric_of(check):
            case "rule":
                _add_rule(_rule(check), check, found.rules)
            case "rows" | "rowCount":
                found.rows = _rows(check) if found.rows is None else found.rows
            case "drift" | "driftAlarm" | "references":
                found.table_rules += filter(None, [read_custom_rule(check, columns)])
            case "duplicateValues":
                found.table_rules += filter(None, [_unique_rule(check, columns)])
    return found


def _add_rule(rule: Rule | None, check: DocumentNode, rules: dict[str, Rule]) -> None:
    if rule is not None and rule.name in rules:
        check.refuse(f"a second rule {rule.name!r}")
    elif rule is not None:
        rules[rule.name] = rule


def _unique_rule(check: DocumentNode, columns: Columns) -> TableRule | None:
    count = count_of(check)
    if count is None or not count.is_zero:
        return None
    rule = read_unique_rule(check, columns)
    if rule is not None:
        _accept(check)
    return rule


def _own_kind(check: DocumentNode) -> str:
    """Return the kind of a check with Tidemill as its engine; "" for other checks."""
    implementation = check.peek("implementation")
    if check.peek("engine") != ENGINE or not isinstance(implementation, Mapping):
        return ""
    kind = str(implementation.get("check"))
    return kind if kind in ("rule", "rows", "drift", "driftAlarm", "references") else ""


def _rule(check: DocumentNode) -> Rule | None:
    try:
        expr = expressions.deserialize(check.peek("implementation"))
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


def _on_fail(check: DocumentNode) -> OnFail:
    """Return the consequence of a rule: an error fails, unless a custom property says quarantine."""
    custom: OnFail | None = CustomProperties(check).take(
        "onFail", lambda value: value == "quarantine"
    )
    by_severity: OnFail = severity_of(check)
    return custom if custom and by_severity == "fail" else by_severity


def _rows(check: DocumentNode) -> Rows | None:
    allowed, customs = count_of(check), CustomProperties(check)
    last = customs.take("vsLast", lambda value: isinstance(value, int))
    within = customs.take("within", lambda value: isinstance(value, int | float))
    bounded = check.peek("metric") or check.peek("rule")
    if bounded and allowed is None:
        return None
    count = allowed or CountRange()
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
