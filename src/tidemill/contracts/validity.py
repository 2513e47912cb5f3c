"""Check that the declaration of a contract is consistent."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidemill.contracts.column_validity import column_problems
from tidemill.contracts.spec import COMPATIBILITY, UNKNOWN_COLUMNS, ContractSpec
from tidemill.core.errors import ContractError, did_you_mean

# Semantic Versioning: three numbers without leading zeros.
_VERSION = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}")


def contradictions(spec: ContractSpec) -> list[str]:
    """Return a sentence for each contradiction in a contract."""
    found = [
        *_class_problems(spec),
        *(p for column in spec.columns for p in column_problems(column)),
    ]
    if spec.table_rules:
        from tidemill.contracts.table_rule_validity import table_rule_problems

        columns = {column.name: column for column in spec.columns}
        found += [p for rule in spec.table_rules for p in table_rule_problems(rule, columns)]
    return found


def require_consistent(spec: ContractSpec) -> None:
    """Raise ContractError with every contradiction in a contract."""
    problems = contradictions(spec)
    if problems:
        raise ContractError(f"{spec.place}: contract {spec.name}: " + "; ".join(problems))


def _class_problems(spec: ContractSpec) -> Iterable[str]:
    if not spec.columns:
        yield "it has no columns"
    if not (isinstance(spec.version, str) and _VERSION.fullmatch(spec.version)):
        yield f"version {spec.version!r} is not MAJOR.MINOR.PATCH, such as '1.0.0'"
    if spec.unknown_columns not in UNKNOWN_COLUMNS:
        yield f"unknown_columns={spec.unknown_columns!r} is not one of {', '.join(UNKNOWN_COLUMNS)}"
    if spec.compatibility not in COMPATIBILITY:
        yield f"compatibility={spec.compatibility!r} is not one of {', '.join(COMPATIBILITY)}"
    yield from _key_problems(spec)
    yield from _source_problems(spec)
    yield from _name_problems(spec)
    partitioned = [column.name for column in spec.columns if column.partition]
    if len(partitioned) > 1:
        yield f"more than one column has partition=: {', '.join(partitioned)}"


def _source_problems(spec: ContractSpec) -> Iterable[str]:
    seen: dict[str, str] = {}
    for column in spec.columns:
        if (other := seen.setdefault(column.source_name, column.name)) != column.name:
            yield f"{other} and {column.name} are both read from the column {column.source_name!r}"


def _name_problems(spec: ContractSpec) -> Iterable[str]:
    for name in spec.names:
        if "\0" in name:
            # Polars ends the process when such a column becomes Arrow data.
            yield f"the column {name!r} has a NUL in its name, which Arrow can't store; rename it"
        elif name == "*" or (name.startswith("^") and name.endswith("$")):
            yield f"Polars takes the column name {name!r} for a pattern of names; rename the column"


def _key_problems(spec: ContractSpec) -> Iterable[str]:
    for name in spec.key:
        if name not in spec.names:
            advice = did_you_mean(name, spec.names)
            yield f"key column {name!r} is not one of its columns ({advice})"
        elif spec.column(name).nullable:
            yield f"key column {name!r} is nullable; a key identifies every row"
        elif spec.column(name).optional:
            yield f"key column {name!r} is optional; a key identifies every row"
        elif spec.column(name).dtype.is_nested:
            yield f"key column {name!r} is a {spec.column(name).dtype}, which has no order"
    if len(set(spec.key)) < len(spec.key):
        yield f"the key names a column twice: {spec.key}"
