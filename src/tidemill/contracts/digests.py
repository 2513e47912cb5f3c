"""Digests of what a contract does to values and of what it checks."""

from __future__ import annotations

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    wide_part,
)
from tidemill.core.fingerprint import Part, fingerprint


def value_digest(spec: ContractSpec) -> str:
    """What the contract does to values: types, key, casts, quarantine; part of the recipe.

    A column that only warns counts too: what can't be cast becomes null there and is published.
    """
    columns: list[Part] = [[*_value_parts(column)] for column in spec.columns]
    rules = [[rule.name, rule.digest] for rule in spec.rules if rule.on_fail == "quarantine"]
    return fingerprint("contract-value", columns, list(spec.key), rules, *_shape_parts(spec))


def _value_parts(column: Column) -> list[Part]:
    match column.on_fail:
        case "quarantine":
            return ["quarantine", *_column_parts(column)]
        case "warn":
            return ["warn", column.name, str(column.dtype), *_filled(column)]
    return ["fail", column.name, str(column.dtype), *_filled(column)]


def check_digest(spec: ContractSpec, *, wider: bool = True) -> str:
    """Everything that the contract checks; without the `wider` rules what it checks in a partition."""
    columns: list[Part] = [[*_column_parts(column), column.on_fail] for column in spec.columns]
    rules = [[rule.name, rule.on_fail, rule.digest] for rule in spec.rules]
    counts = (repr(spec.rows), repr(spec.budget))
    # Rules that contracts could not have at first add a part only where there are some.
    more = [wider_digest(spec)] if spec.wider and wider else []
    return fingerprint(
        "contract-check", columns, list(spec.key), rules, *counts, *_shape_parts(spec), *more
    )


def wider_digest(spec: ContractSpec) -> str:
    """What the rules that look beyond the partition ask; empty without any."""
    return fingerprint("contract-wider", list(map(wide_part, spec.wider))) if spec.wider else ""


def _shape_parts(spec: ContractSpec) -> tuple[str, str]:
    return (spec.unknown_columns, str(spec.partitioning))


def _column_parts(column: Column) -> list[Part]:
    isin = None if column.isin is None else sorted(map(repr, column.isin))
    bounds: list[Part] = [
        None if bound is None else repr(bound) for bound in (column.min, column.max)
    ]
    plain: list[Part] = [column.name, str(column.dtype), column.nullable]
    return [*plain, bounds, column.regex, isin, *_later_parts(column), *_filled(column)]


def _later_parts(column: Column) -> list[Part]:
    """What columns could not say at first; no part where it isn't said, so that digests stay."""
    names = ("min_exclusive", "max_exclusive", "min_length", "max_length", "unique")
    told = ((name, getattr(column, name)) for name in names)
    return [[name, repr(value)] for name, value in told if value is not None and value is not False]


def _filled(column: Column) -> list[Part]:
    """What becomes of a column that is missing; a value that is published, whatever is checked."""
    return [["optional", repr(column.default)]] if column.optional else []
