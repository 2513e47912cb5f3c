"""Rules that look beyond the partition, as checks, relationships and service levels of a document.

Uniqueness is a check of the library, references are relationships, freshness is a service level. Drift
is a check of this package: the standard has no word for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tidemill.contracts.odcs.vocabulary import ENGINE, SEVERITIES, custom
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    UniqueRule,
    WideRule,
)
from tidemill.core.partition import parse_span

# The standard's own pattern for `table.column`; other names are told in a check of this package.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def checks(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """The rules that are checks of the table."""
    for rule in spec.wider:
        said = _said(spec, rule)
        if said is not None:
            own = {"type": "custom", "engine": ENGINE} if "implementation" in said else {}
            told = {"description": rule.description} if rule.description else {}
            severity = SEVERITIES[rule.on_fail]
            yield {"name": rule.name, **told, **own, **said, "severity": severity}


def _said(spec: ContractSpec, rule: WideRule) -> dict[str, Any] | None:
    match rule:
        case UniqueRule():
            arguments = {"properties": list(rule.columns)}
            library = {"type": "library", "metric": "duplicateValues"}
            return {**library, "arguments": arguments, "mustBe": 0}
        case DriftRule():
            how = {"by": rule.by, "limit": rule.limit, "vsLast": rule.vs_last}
            return {"implementation": {"check": "drift", "columns": list(rule.columns), **how}}
        case ReferenceRule() if not _is_plain(spec.name, rule):
            table = {"contract": rule.contract, "to": list(rule.to), "stage": rule.stage}
            columns = list(rule.columns)
            return {"implementation": {"check": "references", "columns": columns, **table}}
    return None


def _is_plain(table: str, rule: ReferenceRule) -> bool:
    names = (table, rule.contract, *rule.columns, *rule.to)
    return all(_NAME.fullmatch(name) for name in names)


def relationships(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """The references, as relationships of the table."""
    for rule in spec.wider:
        if isinstance(rule, ReferenceRule) and _is_plain(spec.name, rule):
            said = {
                "name": rule.name,
                "onFail": rule.on_fail,
                "stage": rule.stage or None,
                "description": rule.description or None,
            }
            yield {
                "type": "foreignKey",
                "from": _columns(spec.name, rule.columns),
                "to": _columns(rule.contract, rule.to),
                "customProperties": custom(**said),
            }


def _columns(table: str, names: Sequence[str]) -> str | list[str]:
    told = [f"{table}.{name}" for name in names]
    return told[0] if len(told) == 1 else told


def service_levels(spec: ContractSpec) -> Iterator[dict[str, Any]]:
    """The freshness of columns."""
    for rule in spec.wider:
        if isinstance(rule, FreshnessRule):
            span = parse_span(rule.within)
            yield {
                "property": "freshness",
                "value": span.count,
                "unit": span.unit,
                "element": f"{spec.name}.{rule.column}",
                **({"description": rule.description} if rule.description else {}),
            }


def freshness(spec: ContractSpec) -> list[dict[str, str]] | None:
    """What a service level has no place for: how a rule is called, and what follows from it."""
    found = [rule for rule in spec.wider if isinstance(rule, FreshnessRule)]
    said = [{"column": r.column, "name": r.name, "onFail": r.on_fail} for r in found]
    return said or None


def order(spec: ContractSpec) -> list[str] | None:
    """The names of these rules in their order, where there are several."""
    return [rule.name for rule in spec.wider] if len(spec.wider) > 1 else None
