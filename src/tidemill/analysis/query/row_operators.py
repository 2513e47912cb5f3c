"""Operators that filter, sort, slice, deduplicate or extend the rows of one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.analysis.query.constant_choices import LOST_ORDER, choose_constants
from tidemill.analysis.query.evaluation_scope import EvaluationScope
from tidemill.analysis.query.expressions import expand_expression, expand_expressions
from tidemill.analysis.query.operator import Handler, Operator, columns_by_name, place_in_rows
from tidemill.analysis.query.value_numbers import (
    ONE,
    Length,
    Relation,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)

# If nothing above the slice needs the order of its rows, it takes other rows in each run.
_SLICED_JOIN = "a slice of joined rows, whose order Polars' streaming engine may leave out"
_SORTED_BY_OTHERS = "a sort by values of other rows, below which Polars leaves out an earlier sort"


def _filter(operator: Operator) -> Relation:
    relation, scope = operator.relation, operator.scope
    conditions = _conditions(operator.content["predicate"], scope)
    below, known = relation.filtered or (relation.rows, frozenset())
    together = known | {condition.term for condition in conditions}
    return replace(
        relation,
        rows=term("filter", below, sorted(together)),
        reads=relation.reads | union_reads(condition.reads for condition in conditions),
        unstable=first_reason(
            relation.unstable, *(place_in_rows(condition).unstable for condition in conditions)
        ),
        filtered=(below, together),
    )


def _conditions(predicate: Any, scope: EvaluationScope) -> list[Value]:
    """The conditions of a filter: the parts of a conjunction, if each has a value per row."""
    found = expand_expression(predicate, scope)
    if len(found) != 1:
        raise UnknownMeaning("a filter of several conditions")
    parts = [
        part for conjunct in _conjuncts(predicate) for part in expand_expression(conjunct, scope)
    ]
    if parts and all(part.length in (ONE, scope.length) for part in parts):
        return parts
    return found


def _conjuncts(predicate: Any) -> list[Any]:
    match predicate:
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            parts = [left, right]
        case {"Function": {"input": list(parts), "function": {"Boolean": "AllHorizontal"}}}:
            pass
        case _:
            return [predicate]
    return [found for part in parts for found in _conjuncts(part)]


def _select(operator: Operator) -> Relation:
    selected, scope = _selected(operator), operator.scope
    choices = [
        expression
        for expression in operator.content["expr"]
        if choose_constants([expression], scope, operator.relation.choices)
    ]
    names = frozenset(columns_by_name(expand_expressions(choices, scope)))
    lost = names and names >= selected.columns.keys()
    return replace(
        selected, open=first_reason(selected.open, LOST_ORDER if lost else ""), choices=names
    )


def _selected(operator: Operator) -> Relation:
    relation, options = operator.relation, operator.content["options"]
    _require_plain_options(options)
    outputs = expand_expressions(operator.content["expr"], operator.scope)
    lengths = {output.length for output in outputs} - {ONE}
    keeps = options["maintain_dataframe_height"]
    if lengths == {relation.length} or (not outputs and keeps):
        return relation.with_columns(columns_by_name(map(place_in_rows, outputs)))
    if not lengths and outputs and (not keeps or relation.length == ONE):
        return Relation(
            rows=ONE.term, reads=0, columns=columns_by_name(outputs), keys=(frozenset(),)
        )
    if len(lengths) == 1 and not keeps:
        return _frame_of_length(relation, outputs, lengths.pop())
    rows = term("select", relation.rows, sorted(lengths), keeps, len(outputs))
    return Relation(
        rows=rows,
        reads=relation.reads | union_reads(length.reads for length in lengths),
        columns=columns_by_name(_value_at(rows, place_in_rows(output)) for output in outputs),
        open=relation.open,
        unstable=relation.unstable,
    )


def _frame_of_length(relation: Relation, outputs: Sequence[Value], length: Length) -> Relation:
    """The frame of expressions that share a length other than that of the input."""
    ordered = [output for output in outputs if output.length != ONE]
    alone = ordered[0].open if len(ordered) == 1 else ""
    kept = (
        output if output is ordered[0] and alone else place_in_rows(output) for output in outputs
    )
    return Relation(
        rows=length.term,
        reads=length.reads,
        columns=columns_by_name(output._replace(open="") for output in kept),
        open=first_reason(alone, relation.open),
        unstable=relation.unstable,
    )


def _with_columns(operator: Operator) -> Relation:
    relation = operator.relation
    _require_plain_options(operator.content["options"])
    outputs = [
        place_in_rows(output)
        for output in expand_expressions(operator.content["exprs"], operator.scope)
    ]
    others = {output.length for output in outputs} - {ONE, relation.length}
    made = columns_by_name(outputs)
    if not others:
        return relation.with_columns({**relation.columns, **made})
    # A frame of one row takes the length of the new columns.
    rows = term("with_columns", relation.rows, sorted(others))
    placed = {name: _value_at(rows, value) for name, value in made.items()}
    return replace(
        relation,
        rows=rows,
        reads=relation.reads | union_reads(length.reads for length in others),
        columns={**relation.columns, **placed},
        keys=(),
        filtered=None,
    )


def _value_at(rows: str, value: Value) -> Value:
    # A series has the term that it has as a column of any order of rows.
    return value._replace(term=term("at", rows, value.length.term, value.term))


def _require_plain_options(options: Mapping[str, Any]) -> None:
    if not (options["should_broadcast"] and options["duplicate_check"]):
        raise UnknownMeaning("a select with rules of its own")


def _sort(operator: Operator) -> Relation:
    relation, options = operator.relation, operator.content["sort_options"]
    by = expand_expressions(operator.content["by_column"], operator.scope)
    cut = operator.content["slice"]
    known = {key.term for key in by}
    if any(key <= known for key in relation.keys):
        open = ""
    elif options["maintain_order"]:
        open = relation.open
    else:
        open = "sort without maintain_order, which leaves rows with equal keys in any order"
    return replace(
        relation,
        rows=term("sort", relation.rows, [key.term for key in by], options, cut),
        reads=relation.reads | union_reads(key.reads for key in by),
        open=open,
        unstable=first_reason(
            relation.unstable,
            *(place_in_rows(key).unstable for key in by),
            cut and open and _slice_reason(open),
            _SORTED_BY_OTHERS if _depend_on_other_rows(operator, by) else "",
        ),
        filtered=None,
        joined=relation.joined and not operator.scope.is_unique(*by),
    )


def _depend_on_other_rows(operator: Operator, by: Sequence[Value]) -> bool:
    """Whether keys of a sort depend on other rows than their own, or on the order of rows."""
    scope = operator.scope
    others = replace(scope, length=Length("other rows", scope.length.reads))
    again = expand_expressions(operator.content["by_column"], others)
    return [key.term for key in by] != [key.term for key in again]


def _slice(operator: Operator) -> Relation:
    relation, content = operator.relation, operator.content
    return replace(
        relation,
        rows=term("slice", relation.rows, content["offset"], content["len"]),
        unstable=first_reason(
            relation.unstable,
            relation.open and _slice_reason(relation.open),
            _SLICED_JOIN if relation.joined else "",
        ),
        filtered=None,
    )


def _slice_reason(reason: str) -> str:
    return f"a slice of rows in no fixed order ({reason})"


def _distinct(operator: Operator) -> Relation:
    relation, options = operator.relation, operator.content["options"]
    names = list(relation.columns)
    subset = [operator.scope.column(name) for name in names]
    if options["subset"] is not None:
        subset = expand_expressions(options["subset"], operator.scope)
    known = frozenset(key.term for key in subset)
    keep = options["keep_strategy"]
    reasons = [relation.unstable, *(place_in_rows(key).unstable for key in subset)]
    if keep in ("First", "Last") and relation.open:
        reasons.append(
            f"unique() that keeps the {keep.lower()} of rows in no fixed order ({relation.open})"
        )
    made = replace(
        relation,
        rows=term("unique", relation.rows, [key.term for key in subset], options),
        reads=relation.reads | union_reads(key.reads for key in subset),
        open=relation.open if options["maintain_order"] else "unique without maintain_order",
        unstable=first_reason(*reasons),
        keys=(*relation.keys, known),
        filtered=None,
    )
    if keep != "Any":
        return made
    chosen = "unique(keep='any') that chooses one of several values"
    return made.with_columns(
        {
            name: value
            if value.term in known
            else value._replace(unstable=first_reason(value.unstable, chosen))
            for name, value in relation.columns.items()
        }
    )


HANDLERS: Mapping[str, Handler] = {
    "Distinct": _distinct,
    "Filter": _filter,
    "HStack": _with_columns,
    "Select": _select,
    "Slice": _slice,
    "Sort": _sort,
}
