"""Check without data that Polars can evaluate the rules of a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tidemill.contracts.checks.row_rules import column_rules, expression_rules
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, Fault


def compile_faults(spec: ContractSpec) -> list[Fault]:
    """Return a fault for every rule that Polars can't evaluate, such as a pattern or a missing column."""
    try:
        column_rules(spec)
        expression_rules(spec)
    except ContractError:
        return [
            fault for compile_part in _parts(spec) for fault in _compile_fault(spec, compile_part)
        ]
    return []


def _parts(spec: ContractSpec) -> Iterator[Callable[[], object]]:
    """Yield the compilation of each column and each rule, so that no fault hides another."""
    for column in spec.columns:
        yield partial(column_rules, replace(spec, columns=(column,), key=()))
    for rule in spec.rules:
        yield partial(expression_rules, replace(spec, rules=(rule,)))


def _compile_fault(spec: ContractSpec, compile_part: Callable[[], object]) -> Iterator[Fault]:
    try:
        compile_part()
    except ContractError as error:
        yield Fault(message=str(error).removeprefix(f"{spec.place}: "), where=spec.place)
