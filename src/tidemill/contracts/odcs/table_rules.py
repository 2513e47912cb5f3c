"""Write table rules as checks, relationships and service levels of a document.

Uniqueness becomes a library check, references become relationships, freshness a service level. Drift becomes
a custom check of Tidemill, because the standard has no term for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tidemill.contracts.odcs.vocabulary import ENGINE, SEVERITIES, custom_properties
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    TableRule,
    UniqueRule,
)
from tidemill.core.partition import parse_span

# The standard's pattern for `table.column`; references with other names become custom checks.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def rule_checks(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """Yield the table rules that are checks of the table."""
    for rule in spec.table_rules:
        fields = _check_fields(spec, rule)
        if fields is not None:
            custom_type = {"type": "custom", "engine": ENGINE} if "implementation" in fields else {}
            about = {"description": rule.description} if rule.description else {}
            severity = SEVERITIES[rule.on_fail]
            yield {"name": rule.name, **about, **custom_type, **fields, "severity": severity}


def _check_fields(spec: ContractSpec, rule: TableRule) -> dict[str, Any] | None:
    match rule:
        case UniqueRule():
            arguments = {"properties": list(rule.columns)}
            library = {"type": "library", "metric": "duplicateValues"}
            return {**library, "arguments": arguments, "mustBe": 0}
        case DriftRule():
            how = {"by": rule.by, "limit": rule.limit, "vsLast": rule.vs_last}
            return {"implementation": {"check": "drift", "columns": list(rule.columns), **how}}
        case DriftAlarmRule():
            alarm = {"reference": rule.reference, "tolerance": rule.tolerance}
            columns = list(rule.columns)
            return {"implementation": {"check": "driftAlarm", "columns": columns, **alarm}}
        case ReferenceRule() if not _has_plain_names(spec.name, rule):
            table = {"contract": rule.contract, "to": list(rule.to), "stage": rule.stage}
            columns = list(rule.columns)
            return {"implementation": {"check": "references", "columns": columns, **table}}
    return None


def _has_plain_names(table: str, rule: ReferenceRule) -> bool:
    names = (table, rule.contract, *rule.columns, *rule.to)
    return all(_NAME.fullmatch(name) for name in names)


def relationships(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """Yield the references as relationships of the table."""
    for rule in spec.table_rules:
        if isinstance(rule, ReferenceRule) and _has_plain_names(spec.name, rule):
            properties = {
                "name": rule.name,
                "onFail": rule.on_fail,
                "stage": rule.stage or None,
                "description": rule.description or None,
            }
            yield {
                "type": "foreignKey",
                "from": _columns(spec.name, rule.columns),
                "to": _columns(rule.contract, rule.to),
                "customProperties": custom_properties(**properties),
            }


def _columns(table: str, names: Sequence[str]) -> str | list[str]:
    paths = [f"{table}.{name}" for name in names]
    return paths[0] if len(paths) == 1 else paths


def service_levels(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """Yield the freshness rules as service levels."""
    for rule in spec.table_rules:
        if isinstance(rule, FreshnessRule):
            span = parse_span(rule.within)
            yield {
                "property": "freshness",
                "value": span.count,
                "unit": span.unit,
                "element": f"{spec.name}.{rule.column}",
                **({"description": rule.description} if rule.description else {}),
            }


def freshness_properties(spec: ContractSpec) -> list[dict[str, str]] | None:
    """Return what a service level can't express: the name of a rule and its consequence."""
    rules = [rule for rule in spec.table_rules if isinstance(rule, FreshnessRule)]
    return [{"column": r.column, "name": r.name, "onFail": r.on_fail} for r in rules] or None


def rule_order(spec: ContractSpec) -> list[str] | None:
    """Return the names of the table rules in order, if there are several."""
    return [rule.name for rule in spec.table_rules] if len(spec.table_rules) > 1 else None
