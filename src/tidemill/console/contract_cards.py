"""A contract as the console shows it: its terms in words, and who reads which column."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.contracts.docs.phrases import (
    OUTCOMES,
    Condition,
    column_terms,
    head_terms,
    row_conditions,
    table_conditions,
    type_name,
)
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.impact import Consumer


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractColumn:
    """A column: its type, its terms in words, what happens if one is broken, and the stages that read it."""

    name: str
    type: str
    terms: str
    if_broken: str
    description: str
    personal: str
    read_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerm:
    """A term of the whole table."""

    name: str
    phrase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerm:
    """A rule about rows, a partition or the table, and what happens to what breaks it."""

    name: str
    phrase: str
    if_broken: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCard:
    """A contract with some of its columns, from `first_column` on, of `total_columns` ones."""

    name: str
    version: str
    description: str
    place: str
    terms: tuple[ContractTerm, ...]
    rules: tuple[RuleTerm, ...]
    columns: tuple[ContractColumn, ...]
    first_column: int
    total_columns: int


def contract_card(
    spec: ContractSpec, consumers: Sequence[Consumer], first: int, most: int
) -> ContractCard:
    """Put a contract in words, with at most so many columns from the `first` one on."""
    start = max(first, 0)
    return ContractCard(
        name=spec.name,
        version=spec.version,
        description=spec.description,
        place=spec.place,
        terms=tuple(ContractTerm(name=name, phrase=phrase) for name, phrase in head_terms(spec)),
        rules=tuple(map(_rule, (*row_conditions(spec), *table_conditions(spec)))),
        columns=tuple(
            ContractColumn(
                name=column.name,
                type=type_name(column),
                terms=column_terms(column),
                if_broken=OUTCOMES[column.on_fail],
                description=column.description,
                personal=column.pii,
                read_by=tuple(
                    each.stage
                    for each in consumers
                    if each.columns is None or column.name in each.columns
                ),
            )
            for column in spec.columns[start : start + most]
        ),
        first_column=start,
        total_columns=len(spec.columns),
    )


def _rule(condition: Condition) -> RuleTerm:
    return RuleTerm(
        name=condition.name,
        phrase=condition.phrase,
        if_broken=OUTCOMES[condition.on_fail],
        description=condition.description,
    )
