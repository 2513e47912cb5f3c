"""List the rules that people wrote into a contract, to see which of them cases break."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import ReferenceRule, UniqueRule
from tidemill.core.lazy_dataclass import dataclass

# What a column may declare about its values; types and missing values are implied by every column.
_KINDS = (
    *("min", "max", "min_exclusive", "max_exclusive", "min_length", "max_length"),
    *("regex", "isin", "unique"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRule:
    """A rule of a contract by its name. Equal `meaning`: the same rule, also in another contract.

    A column that contracts share is declared once, so its rules are one.
    """

    name: str
    meaning: str


def row_rules_of(spec: ContractSpec) -> Iterator[WrittenRule]:
    """The rules about values and rows that a contract declares: bounds, patterns, the key, `tm.rule`."""
    for column in spec.columns:
        for kind in _KINDS:
            value = getattr(column, kind)
            if value is not None and value is not False:
                name = f"{column.name}.{kind}"
                yield WrittenRule(name=name, meaning=f"{name} {value!r}")
    if spec.key:
        yield WrittenRule(name="key", meaning=f"{spec.name} key {spec.key}")
    for rule in spec.rules:
        yield WrittenRule(name=rule.name, meaning=f"{spec.name} {rule.name} {rule.digest}")


def written_rules(spec: ContractSpec) -> tuple[WrittenRule, ...]:
    """The rules that cases can break: those about rows, and those about a table that rows decide."""
    tables = (
        WrittenRule(name=rule.name, meaning=f"{spec.name} {rule.name} {rule}")
        for rule in spec.table_rules
        if isinstance(rule, UniqueRule | ReferenceRule)
    )
    return (*row_rules_of(spec), *tables)
