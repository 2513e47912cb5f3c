"""Number the values of expression functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.analysis.query.evaluation_scope import (
    EvaluationScope,
    combine_by_row,
    combine_over_rows,
)
from tidemill.analysis.query.known_functions import (
    CONSTANT_OPERANDS,
    COUNTS,
    NAMED,
    NUMERIC,
    ORDER_FREE,
    TIES,
    RowDependence,
    disorder_reason,
    function_name,
    python_name,
    row_dependence,
)
from tidemill.analysis.query.value_numbers import (
    ONE,
    Length,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)


def number_function(
    content: Mapping[str, Any], operands: Sequence[Value], scope: EvaluationScope
) -> Value:
    """Number a function of these operands; Unknown if it depends on unknown names."""
    called = content["function"]
    name = function_name(called)
    if _is_row_number(content):
        made = combine_over_rows(("row number", called), operands, scope, length=scope.length)
        return made._replace(name=None)
    kind = row_dependence(name, called)
    if kind is RowDependence.OTHER or not operands:
        return _number_unknown(name, called, operands, scope)
    if name == "FillNull" and operands[0].length == ONE and operands[-1].length != ONE:
        # Without a null, Polars keeps one value for all rows, of which some operators return just one.
        raise UnknownMeaning("one value whose null is filled from many")
    if name in CONSTANT_OPERANDS:
        kind, operands = _with_constants(kind, content, operands)
    tag: Any = (name, called)
    if name in NAMED:
        tag = (*tag, _operand_names(operands))
    numeric = name in COUNTS or (name in NUMERIC and all(part.numeric for part in operands))
    if kind is RowDependence.EACH:
        made = combine_by_row(tag, operands, scope, numeric=numeric)
    else:
        length = _function_length(kind, name, called, operands, scope)
        free, order = name in ORDER_FREE, disorder_reason(name, called)
        made = combine_over_rows(
            tag, operands, scope, length=length, numeric=numeric, free=free, open=order
        )
    if name in TIES and not scope.is_unique(operands[TIES[name]]):
        tied = f"{python_name(name)}() of several rows with equal values"
        made = made._replace(unstable=first_reason(made.unstable, tied))
    match called:
        case {"StructExpr": {"FieldByName": field}}:
            return made._replace(name=field, root=None)
    return made


def _function_length(
    kind: RowDependence, name: str, called: Any, operands: Sequence[Value], scope: EvaluationScope
) -> Length | None:
    """The length, if it doesn't depend on the values; None for the length of the operands."""
    base = operands[0].length
    match kind:
        case RowDependence.TOTAL:
            return ONE
        case RowDependence.PART if name == "GatherEvery" and base != ONE:
            return Length(term("gather every", called, base.term), base.reads)
        case RowDependence.ALONG if base != ONE:
            return None
    return _own_length(called, operands, scope)


def _number_unknown(
    name: str, called: Any, operands: Sequence[Value], scope: EvaluationScope
) -> Value:
    """Number an unknown function, which may depend on all rows of its operands, and on their names."""
    tag = (name, called, _operand_names(operands))
    made = combine_over_rows(tag, operands, scope, length=_own_length(tag, operands, scope))
    return made._replace(name=None, root=None)


def _own_length(tag: Any, operands: Sequence[Value], scope: EvaluationScope) -> Length:
    number = term("length of", tag, [operand.term for operand in operands], scope.rows)
    return Length(number, scope.length.reads | union_reads(operand.reads for operand in operands))


def _operand_names(operands: Sequence[Value]) -> list[str]:
    names = [operand.name for operand in operands]
    if None in names:
        raise UnknownMeaning("a function of operands whose names aren't known")
    return [name for name in names if name is not None]


def _with_constants(
    kind: RowDependence, content: Mapping[str, Any], operands: Sequence[Value]
) -> tuple[RowDependence, Sequence[Value]]:
    """Treat literals after the first operand as one value each, and columns as whole columns."""
    head, *rest = operands
    if all("Literal" in operand for operand in content["input"][1:]):
        return kind, [head, *(operand._replace(length=ONE) for operand in rest)]
    return (
        kind if all(operand.length == ONE for operand in rest) else RowDependence.ALONG
    ), operands


def _is_row_number(content: Mapping[str, Any]) -> bool:
    """Whether the function is `int_range(len())`, which numbers the rows."""
    match content:
        case {
            "function": {"Range": {"IntRange": {"step": 1}}},
            "input": [{"Literal": {"Dyn": {"Int": 0}}}, "Len"],
        }:
            return True
    return False
