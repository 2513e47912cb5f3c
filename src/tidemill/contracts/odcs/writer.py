"""Write a contract as a document of the Open Data Contract Standard.

Terms that the standard has go to its fields, all others to `customProperties` named `tidemill...`. Each term
is written once, so that an edit of the document needs one change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.odcs import expressions
from tidemill.contracts.odcs import table_rules as wider
from tidemill.contracts.odcs.types import categories_check, type_fields
from tidemill.contracts.odcs.values import encode, encode_bound
from tidemill.contracts.odcs.vocabulary import (
    API_VERSION,
    BOUNDS,
    ENGINE,
    SEVERITIES,
    custom_properties,
)
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import Budget, Rows
from tidemill.core.errors import ContractError
from tidemill.core.partition import GRAINS, Grain


def write_document(spec: ContractSpec) -> dict[str, Any]:
    """Return the document of a contract; ContractError for a rule that can't be written."""
    levels = [*wider.service_levels(spec)]
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": document_id(spec.name),
        "name": spec.name,
        "version": spec.version,
        "status": "active",
        "schema": [_table(spec)],
        **({"slaProperties": levels} if levels else {}),
    }


def document_id(name: str) -> str:
    """Derive a stable id from a name: `DailySales` becomes daily-sales."""
    hyphenated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", hyphenated.lower()).strip("-") or "contract"


def _table(spec: ContractSpec) -> dict[str, Any]:
    checks = [
        *_rows(spec.rows),
        *(_rule(spec, rule) for rule in spec.rules),
        *wider.rule_checks(spec),
    ]
    return _without_empty(
        name=spec.name,
        physicalType="table",
        description=spec.description,
        properties=[_property(spec, column) for column in spec.columns],
        relationships=[*wider.relationships(spec)],
        quality=checks,
        customProperties=custom_properties(
            unknownColumns=spec.unknown_columns,
            compatibility=spec.compatibility if spec.compatibility != "none" else None,
            budget=_budget(spec.budget),
            freshness=wider.freshness_properties(spec),
            order=wider.rule_order(spec),
        ),
    )


def _without_empty(**fields: Any) -> dict[str, Any]:
    """Return the fields that aren't None, False or empty."""
    empty: tuple[Any, ...] = ("", [], {})
    present = ((n, v) for n, v in fields.items() if v is not None and v is not False)
    return {name: value for name, value in present if value not in empty}


def _property(spec: ContractSpec, column: Column) -> dict[str, Any]:
    keyed = column.name in spec.key
    types = type_fields(column.dtype)
    return _without_empty(
        name=column.name,
        primaryKey=keyed,
        primaryKeyPosition=spec.key.index(column.name) + 1 if keyed else None,
        logicalType=types["logicalType"],
        physicalType=types["physicalType"],
        logicalTypeOptions={**types.get("logicalTypeOptions", {}), **_options(column)},
        description=column.description,
        required=not column.nullable,
        unique=column.unique,
        partitioned=column.partition is not None,
        partitionKeyPosition=1 if column.partition is not None else None,
        classification="pii" if column.pii else None,
        quality=[*_values(column)],
        properties=types.get("properties"),
        items=types.get("items"),
        customProperties=custom_properties(
            onFail=column.on_fail if column.on_fail != "quarantine" else None,
            partition=grain_text(column.partition),
            optional=column.optional or None,
            default=encode(column.default),
            unit=column.unit or None,
            role=column.role or None,
            pii=column.pii if column.pii not in ("", "pii") else None,
            exact=_exact(column) or None,
        ),
    )


def grain_text(partition: Grain | str | None) -> str | None:
    """Return the text of a grain, such as `1d`; None for a partitioning without one."""
    texts = {grain: text for text, grain in GRAINS.items()}
    return texts.get(partition) if isinstance(partition, Grain) else None


def _options(column: Column) -> dict[str, Any]:
    lengths = ("minItems", "maxItems") if column.dtype.is_nested else ("minLength", "maxLength")
    bounds = {field: encode_bound(getattr(column, name)) for name, field in BOUNDS.items()}
    options = {
        lengths[0]: column.min_length,
        lengths[1]: column.max_length,
        "pattern": column.regex,
        **bounds,
    }
    return {name: value for name, value in options.items() if value is not None}


def _exact(column: Column) -> dict[str, str]:
    """Return decimal bounds as text by field, because tools may read a document's numbers as floats."""
    bounds = {name: getattr(column, name) for name in BOUNDS}
    return {name: str(value) for name, value in bounds.items() if isinstance(value, Decimal)}


def _values(column: Column) -> Iterator[dict[str, Any]]:
    severity = SEVERITIES[column.on_fail]
    if column.dtype.name == "Enum":
        yield {**categories_check(column.dtype), "severity": severity}
    if column.isin is not None:
        yield {
            "name": "isin",
            "type": "library",
            "metric": "invalidValues",
            "arguments": {"validValues": encode(column.isin)},
            "mustBe": 0,
            "severity": severity,
        }


def _rule(spec: ContractSpec, rule: Rule) -> dict[str, Any]:
    try:
        expression = expressions.serialize(rule.expr)
    except ValueError as error:
        raise ContractError(
            f"{spec.place}: rule {rule.name} of contract {spec.name} can't be written: {error}"
        ) from None
    return _without_empty(
        name=rule.name,
        description=rule.description,
        type="custom",
        engine=ENGINE,
        implementation={"check": "rule", **expression},
        severity=SEVERITIES[rule.on_fail],
        customProperties=custom_properties(
            onFail="quarantine" if rule.on_fail == "quarantine" else None
        ),
    )


def _rows(rows: Rows | None) -> Iterator[dict[str, Any]]:
    """Write bounds on the rows in the standard's fields, the comparison with history in custom ones."""
    if rows is None:
        return
    severity = SEVERITIES[rows.on_fail]
    compared = custom_properties(vsLast=rows.vs_last, within=rows.within)
    if rows.min is None and rows.max is None:
        kind = {"type": "custom", "engine": ENGINE, "implementation": {"check": "rows"}}
    else:
        kind = {"type": "library", "metric": "rowCount", **_between(rows)}
    yield _without_empty(name="rows", **kind, severity=severity, customProperties=compared)


def _between(rows: Rows) -> dict[str, Any]:
    # The ends of mustBeBetween are included, as in `Rows`, and must be different.

    if rows.min is None:
        return {"mustBeLessOrEqualTo": rows.max}
    if rows.max is None:
        return {"mustBeGreaterOrEqualTo": rows.min}
    return {"mustBe": rows.min} if rows.min == rows.max else {"mustBeBetween": [rows.min, rows.max]}


def _budget(budget: Budget | None) -> dict[str, float] | None:
    return {"maxBad": budget.max_bad} if budget else None
