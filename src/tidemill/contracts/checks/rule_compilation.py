"""What only Polars can tell of a contract, told without data: that its rules can be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tidemill.contracts.checks.row_rules import column_rules, expression_rules
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, Fault


def compile_faults(spec: ContractSpec) -> list[Fault]:
    """Every rule of a contract that can't be evaluated: a pattern, a set, a missing column, a type."""
    try:
        column_rules(spec)
        expression_rules(spec)
    except ContractError:
        return [fault for one in _alone(spec) for fault in _tried(spec, one)]
    return []


def _alone(spec: ContractSpec) -> Iterator[Callable[[], object]]:
    """Each column and each rule tried by itself, so that none hides another."""
    for column in spec.columns:
        yield partial(column_rules, replace(spec, columns=(column,), key=()))
    for rule in spec.rules:
        yield partial(expression_rules, replace(spec, rules=(rule,)))


def _tried(spec: ContractSpec, one: Callable[[], object]) -> Iterator[Fault]:
    try:
        one()
    except ContractError as error:
        yield Fault(message=str(error).removeprefix(f"{spec.place}: "), where=spec.place)
