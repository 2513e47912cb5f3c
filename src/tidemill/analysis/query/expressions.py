"""Number expressions by what they compute, with every parameter; names don't count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.evaluation_scope import (
    EvaluationScope,
    combine_by_row,
    combine_over_rows,
)
from tidemill.analysis.query.functions import number_function
from tidemill.analysis.query.known_functions import (
    AGGREGATES_FREE,
    HORIZONTAL,
    NUMBERS,
    RowDependence,
    function_name,
    row_dependence,
)
from tidemill.analysis.query.serialized import variant_of
from tidemill.analysis.query.value_numbers import (
    ONE,
    UNKNOWN_FORM,
    Length,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)

# Commutative operators; addition and multiplication only commute between known numbers.
_SYMMETRIC = {"And", "Or", "LogicalAnd", "LogicalOr", "Eq", "NotEq"}
_SYMMETRIC_NUMBERS = {"Plus", "Multiply"}
_ARITHMETIC = {"Plus", "Minus", "Multiply", "TrueDivide", "FloorDivide", "Modulus"}
_NUMERIC_AGGREGATES = {"Sum", "Min", "Max", "Mean", "Median", "Std", "Var", "First", "Last"}


class _HasSelectors(Exception):
    """The expression contains a selector: it stands for an expression per selected column."""


def expand_expression(expression: Any, scope: EvaluationScope) -> list[Value]:
    """Number an expression: one value, or one for each column that its selectors name."""
    try:
        return [_with_name(number_expression(expression, scope), expression)]
    except _HasSelectors:
        widths = {len(scope.expand(selector)) for selector in _selectors(expression)}
    # A selector of one column is repeated for each column of the other.
    wide = widths - {1} if len(widths) > 1 else widths
    if len(wide) != 1:
        raise UnknownMeaning("selectors of different widths in one expression")
    return [number_expression(expression, scope.with_pick(place)) for place in range(wide.pop())]


def _with_name(found: Value, expression: Any) -> Value:
    """Ask Polars for the name of an expression if it isn't known here."""
    if found.name is not None:
        return found
    try:
        text = json.dumps(expression).encode()
        name = pl.Expr.deserialize(BytesIO(text), format="json").meta.output_name()
    except PolarsError:
        return found
    return found._replace(name=name)


def expand_expressions(expressions: Sequence[Any], scope: EvaluationScope) -> list[Value]:
    """Number a list of expressions, and expand those over several columns."""
    return [found for expression in expressions for found in expand_expression(expression, scope)]


def number_expression(expression: Any, scope: EvaluationScope) -> Value:
    """Number an expression without selectors, or at the picked index of its selectors."""
    if isinstance(expression, str):
        return _leaf(expression, scope)
    name, content = variant_of(expression)
    try:
        return _HANDLERS[name](content, scope)
    except UNKNOWN_FORM:
        return _number_unknown(expression, scope)


def _number_unknown(expression: Any, scope: EvaluationScope) -> Value:
    """Number an unknown expression by all of its text, and all columns and rows in scope."""
    if scope.element is not None or next(_selectors(expression), None) is not None:
        raise UnknownMeaning(
            "an expression that isn't understood, where the columns of a frame aren't seen"
        )
    if "DataFrameScan" in repr(expression):
        raise UnknownMeaning("a frame inside of an expression")
    columns = [(name, column.term) for name, column in scope.columns.items()]
    number = term("whole", expression, scope.rows, columns)
    unstable = first_reason(
        scope.unstable,
        scope.open and f"an expression over rows in no fixed order ({scope.open})",
        *(column.unstable for column in scope.columns.values()),
    )
    length = Length(term("length of", number), scope.all_reads)
    return Value(None, number, length, scope.all_reads, unstable=unstable)


def _selectors(expression: Any) -> Iterator[Any]:
    """The selectors that expand an expression: not those in the operands of a horizontal function."""
    if isinstance(expression, list):
        for part in expression:
            yield from _selectors(part)
    elif isinstance(expression, dict):
        match expression:
            case {"Selector": selector}:
                yield selector
            case {"Function": {"function": called}} if function_name(called) in HORIZONTAL:
                return
            case _:
                for part in expression.values():
                    yield from _selectors(part)


def _leaf(name: str, scope: EvaluationScope) -> Value:
    if name == "Len":
        number = term("Len", scope.rows)
        return Value("len", number, ONE, scope.length.reads, True, unstable=scope.unstable)
    if name == "Element" and scope.element is not None:
        return scope.element
    raise UnknownMeaning(name)


def _column(name: str, scope: EvaluationScope) -> Value:
    return scope.column(name)


def _selector(selector: Any, scope: EvaluationScope) -> Value:
    if scope.element is not None:
        raise UnknownMeaning("a selector among the elements of lists")
    if scope.pick is None:
        raise _HasSelectors
    names = scope.expand(selector)
    return scope.column(names[scope.pick] if len(names) > 1 else names[0])


def _alias(content: list[Any], scope: EvaluationScope) -> Value:
    expression, name = content
    return number_expression(expression, scope)._replace(name=name)


def _literal(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    form, inner = variant_of(content)
    if form not in ("Dyn", "Scalar"):
        # A series, whose values are aligned with the rows.
        number = term("series", content)
        return Value(None, number, Length(term("length of", number), 0))
    numeric = form == "Dyn" and variant_of(inner)[0] in ("Int", "Float")
    numeric = numeric or (form == "Scalar" and variant_of(inner)[0] in NUMBERS)
    return Value("literal", term("literal", content), ONE, numeric=numeric)


def _binary(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operator = content["op"]
    operands = [
        number_expression(content["left"], scope),
        number_expression(content["right"], scope),
    ]
    numbers = operands[0].numeric and operands[1].numeric
    left = operands[0]
    if operator in _SYMMETRIC or (numbers and operator in _SYMMETRIC_NUMBERS):
        operands.sort(key=lambda operand: operand.term)
    made = combine_by_row(operator, operands, scope, numeric=numbers and operator in _ARITHMETIC)
    return made._replace(name=left.name, root=left.root)


def _cast(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    form, dtype = variant_of(content["dtype"])
    if form != "Literal":
        raise UnknownMeaning("a cast to a type that is computed")
    numeric = isinstance(dtype, str) and dtype in NUMBERS
    tag = ("Cast", dtype, content["options"])
    return combine_by_row(tag, [number_expression(content["expr"], scope)], scope, numeric=numeric)


def _ternary(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    then, otherwise = (
        number_expression(content["truthy"], scope),
        number_expression(content["falsy"], scope),
    )
    operands = [then, otherwise, number_expression(content["predicate"], scope)]
    return combine_by_row("Ternary", operands, scope, numeric=then.numeric and otherwise.numeric)


def _function(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    called = content["function"]
    name = function_name(called)
    if name in HORIZONTAL:
        flat = scope if scope.pick is None else replace(scope, pick=None)
        return number_function(content, expand_expressions(content["input"], flat), scope)
    operands = [number_expression(operand, scope) for operand in content["input"]]
    if row_dependence(name, called) is RowDependence.OTHER and any(_selectors(content["input"])):
        raise UnknownMeaning("a function that isn't known, of a selector")
    return number_function(content, operands, scope)


def _aggregate(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    name, inner = variant_of(content)
    parameters: Any = None
    if isinstance(inner, list):
        inner, *parameters = inner
    elif isinstance(inner, dict) and "input" in inner:
        parameters = {key: part for key, part in inner.items() if key != "input"}
        inner = inner["input"]
    operand = number_expression(inner, scope)
    numeric = name in ("Count", "NUnique") or (operand.numeric and name in _NUMERIC_AGGREGATES)
    free = name in AGGREGATES_FREE
    return combine_over_rows(
        (name, parameters), [operand], scope, length=ONE, numeric=numeric, free=free
    )


def _over(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    inner = number_expression(content["function"], scope)
    by = [number_expression(part, scope) for part in content["partition_by"]]
    order, options = content["order_by"] or (None, None)
    ordered = [] if order is None else [number_expression(order, scope)]
    mapping = content["mapping"]
    length = scope.length if mapping in ("GroupsToRows", "Join") else None
    operands = [inner, *by, *ordered]
    if length is None:
        number = term("rows over", mapping, [part.term for part in operands], scope.rows)
        length = Length(number, scope.all_reads)
    tag = ("over", len(by), options, mapping)
    made = combine_over_rows(tag, operands, scope, length=length, numeric=inner.numeric, free=True)
    return made._replace(
        open="", unstable=first_reason(made.unstable, (inner.length != ONE and inner.open) or "")
    )


def _rolling_window(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operands = [
        number_expression(content["function"], scope),
        number_expression(content["index_column"], scope),
    ]
    rest = {key: part for key, part in content.items() if key not in ("function", "index_column")}
    return combine_over_rows(("rolling", rest), operands, scope, length=scope.length)


def _sort(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    return combine_over_rows(
        ("sort", content["options"]), [number_expression(content["expr"], scope)], scope
    )


def _sort_by(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    by = [number_expression(part, scope) for part in content["by"]]
    options = content["sort_options"]
    ties = not options["maintain_order"] and not scope.is_unique(*by)
    operands = [number_expression(content["expr"], scope), *by]
    open = "sort_by() without maintain_order" if ties else ""
    return combine_over_rows(("sort_by", options), operands, scope, open=open)


def _filter(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operands = [number_expression(content["input"], scope), number_expression(content["by"], scope)]
    return combine_over_rows(
        "filter", operands, scope, length=_selected_length("filter", operands), free=True
    )


def _slice(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operands = [number_expression(content[part], scope) for part in ("input", "offset", "length")]
    return combine_over_rows("slice", operands, scope, length=_selected_length("slice", operands))


def _gather(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operands = [number_expression(content["expr"], scope), number_expression(content["idx"], scope)]
    length = ONE if content["returns_scalar"] else _selected_length("gather", operands)
    return combine_over_rows(("gather", content["null_on_oob"]), operands, scope, length=length)


def _selected_length(tag: str, operands: Sequence[Value]) -> Length:
    """The length of the first operand after a selection by the others: equal selections stay aligned."""
    base, *by = operands
    reads = base.length.reads | union_reads(operand.reads | operand.length.reads for operand in by)
    parts = [(operand.term, operand.length.term) for operand in by]
    return Length(term(tag, base.length.term, parts), reads)


def _explode(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    operand = number_expression(content["input"], scope)
    number = term("explode length", operand.term, content["options"], scope.rows)
    length = Length(number, operand.reads | scope.length.reads)
    return combine_over_rows(
        ("explode", content["options"]), [operand], scope, length=length, free=True
    )


def _eval(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    inner = number_expression(content["evaluation"], scope.element_scope())
    made = combine_by_row(
        ("eval", inner.term, content["variant"]), [number_expression(content["expr"], scope)], scope
    )
    return made._replace(unstable=first_reason(made.unstable, inner.unstable, inner.open))


def _keep_name(content: Any, scope: EvaluationScope) -> Value:
    inner = number_expression(content, scope)
    return inner._replace(name=inner.root)


def _rename(content: Mapping[str, Any], scope: EvaluationScope) -> Value:
    inner = number_expression(content["expr"], scope)
    return inner._replace(name=_new_name(inner, content["function"]))


def _new_name(inner: Value, function: Any) -> str | None:
    """The new name, if it is certain: of a plain column, by a rule that Python can apply."""
    name = inner.name
    if name is None or name != inner.root:
        return None
    match function:
        case {"Prefix": str(text)}:
            return text + name
        case {"Suffix": str(text)}:
            return name + text
        case "ToLowercase" if name.isascii():
            return name.lower()
        case "ToUppercase" if name.isascii():
            return name.upper()
    return None


_HANDLERS: Mapping[str, Callable[[Any, EvaluationScope], Value]] = {
    "Agg": _aggregate,
    "Alias": _alias,
    "BinaryExpr": _binary,
    "Cast": _cast,
    "Column": _column,
    "Eval": _eval,
    "Explode": _explode,
    "Filter": _filter,
    "Function": _function,
    "Gather": _gather,
    "KeepName": _keep_name,
    "Literal": _literal,
    "Over": _over,
    "RenameAlias": _rename,
    "Rolling": _rolling_window,
    "Selector": _selector,
    "Slice": _slice,
    "Sort": _sort,
    "SortBy": _sort_by,
    "Ternary": _ternary,
}
