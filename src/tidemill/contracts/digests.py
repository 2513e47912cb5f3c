"""Compute the digests of a contract: of its effect on values, and of its checks."""

from __future__ import annotations

from functools import lru_cache

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    table_rule_part,
)
from tidemill.contracts.text_format import AS_STORED
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.identity import ByIdentity


def value_digest(spec: ContractSpec) -> str:
    """Digest of the contract's effect on values: types, key, casts and quarantine; part of the recipe.

    Columns that only warn count too: a value that can't be cast becomes null there and is published.
    """
    return _value_digest(ByIdentity(spec))


# Many stages of a workflow share a contract.
@lru_cache(maxsize=256)
def _value_digest(key: ByIdentity[ContractSpec]) -> str:
    (spec,) = key.values
    columns: list[Part] = [[*_value_parts(column)] for column in spec.columns]
    rules = [[rule.name, rule.digest] for rule in spec.rules if rule.on_fail == "quarantine"]
    return fingerprint("contract-value", columns, list(spec.key), rules, *_shape_parts(spec))


def _value_parts(column: Column) -> list[Part]:
    match column.on_fail:
        case "quarantine":
            return ["quarantine", *_column_parts(column), *_text_parts(column)]
        case "warn":
            return ["warn", column.name, str(column.dtype), *_filled_parts(column)]
    return ["fail", column.name, str(column.dtype), *_filled_parts(column)]


def check_digest(spec: ContractSpec, *, table_rules: bool = True) -> str:
    """Digest of all checks of a contract, with or without its table rules."""
    return _check_digest(ByIdentity(spec), table_rules)


@lru_cache(maxsize=256)
def _check_digest(key: ByIdentity[ContractSpec], table_rules: bool) -> str:
    (spec,) = key.values
    columns: list[Part] = [[*_column_parts(column), column.on_fail] for column in spec.columns]
    rules = [[rule.name, rule.on_fail, rule.digest] for rule in spec.rules]
    counts = (repr(spec.rows), repr(spec.budget))
    # Table rules came later: they add a part only if there are any, so that older digests hold.
    more = [table_rules_digest(spec)] if spec.partition_rules and table_rules else []
    return fingerprint(
        "contract-check", columns, list(spec.key), rules, *counts, *_shape_parts(spec), *more
    )


def table_rules_digest(spec: ContractSpec) -> str:
    """Digest of the table rules of a contract; empty if it has none."""
    return (
        fingerprint("contract-wider", list(map(table_rule_part, spec.partition_rules)))
        if spec.partition_rules
        else ""
    )


def _shape_parts(spec: ContractSpec) -> tuple[str, str]:
    return (spec.unknown_columns, str(spec.partitioning))


def _column_parts(column: Column) -> list[Part]:
    isin = None if column.isin is None else sorted(map(repr, column.isin))
    bounds: list[Part] = [
        None if bound is None else repr(bound) for bound in (column.min, column.max)
    ]
    plain: list[Part] = [column.name, str(column.dtype), column.nullable]
    return [*plain, bounds, column.regex, isin, *_later_parts(column), *_default_parts(column)]


def _later_parts(column: Column) -> list[Part]:
    """Terms that were added later; they add a part only if they are set, so that older digests hold."""
    names = ("min_exclusive", "max_exclusive", "min_length", "max_length", "unique")
    terms = ((name, getattr(column, name)) for name in names)
    return [
        [name, repr(value)] for name, value in terms if value is not None and value is not False
    ]


def _filled_parts(column: Column) -> list[Part]:
    return [*_default_parts(column), *_text_parts(column)]


def _text_parts(column: Column) -> list[Part]:
    """How the values are found and read, which checks of published rows don't depend on."""
    return [] if (part := reading_part(column)) is None else [part]


def reading_part(column: Column) -> Part:
    """How the column is found and read in files; None for a column without such options."""
    if not column.source and column.text == AS_STORED:
        return None
    # Only what is declared counts, so that digests hold when an option is added.
    options = ((name, getattr(column.text, name)) for name in column.text.__slots__)
    usual = AS_STORED
    declared = [[name, repr(value)] for name, value in options if value != getattr(usual, name)]
    return ["read", column.source, *declared]


def _default_parts(column: Column) -> list[Part]:
    """The default of an optional column, which is published even if nothing is checked."""
    return [["optional", repr(column.default)]] if column.optional else []
