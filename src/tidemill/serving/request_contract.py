"""The part of a contract that decides about the rows of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.spec import ContractSpec, RecordedExpression, Rule
from tidemill.contracts.text_format import Cells


def request_contract(spec: ContractSpec, names: Sequence[str], cells: Cells = "") -> ContractSpec:
    """Return the contract of rows that have only some columns of `spec`, in the order of `names`.

    Rules about many rows (the key, unique values, the number of rows, the budget) don't apply to a request,
    nor do rules that read other columns. A rule that fails a partition rejects the row. `cells` is the kind
    of text that the values come as.
    """
    columns = tuple(_request_column(spec.column(name), cells) for name in names)
    return ContractSpec(
        name=spec.name,
        version=spec.version,
        columns=columns,
        rules=tuple(
            replace(rule, on_fail=_on_fail(rule.on_fail))
            for rule in spec.rules
            if applies(rule, names)
        ),
        unknown_columns="keep",
        description=spec.description,
        place=spec.place,
    )


def carrying_contract(spec: ContractSpec, names: Sequence[str]) -> ContractSpec:
    """Return a contract whose columns `names` requests may leave out."""
    columns = tuple(
        replace(column, nullable=True, optional=True, default=None)
        if column.name in names
        else column
        for column in spec.columns
    )
    return replace(spec, columns=columns)


def applies(rule: Rule, names: Sequence[str]) -> bool:
    """Whether a rule can be evaluated on rows with these columns."""
    if isinstance(rule.expr, RecordedExpression):
        return False
    return set(rule.expr.meta.root_names()) <= set(names)


def _request_column(column: Column, cells: Cells) -> Column:
    return replace(
        column,
        unique=False,
        partition=None,
        on_fail=_on_fail(column.on_fail),
        text=replace(column.text, cells=cells) if cells else column.text,
    )


def _on_fail(given: OnFail) -> OnFail:
    return "warn" if given == "warn" else "quarantine"
