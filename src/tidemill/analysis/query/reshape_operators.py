"""Operators that rename, unpivot, explode, unnest or aggregate the columns of a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from tidemill.analysis.query.operator import Handler, Operator, columns_by_name
from tidemill.analysis.query.serialized import variant_of
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


def _map_function(operator: Operator) -> Relation:
    name, content = variant_of(operator.content["function"])
    return _FUNCTIONS[name](content, operator)


def _rename(content: Mapping[str, Any], operator: Operator) -> Relation:
    names = dict(zip(content["existing"], content["new"], strict=True))
    renamed = (
        value._replace(name=names.get(name, name))
        for name, value in operator.relation.columns.items()
    )
    return operator.relation.with_columns(columns_by_name(renamed))


def _row_index(content: Mapping[str, Any], operator: Operator) -> Relation:
    relation = operator.relation
    name, number = content["name"], term("row index", relation.rows, content["offset"])
    reason = relation.open and f"row numbers of rows in no fixed order ({relation.open})"
    index = Value(name, number, relation.length, relation.reads, True, name, "", reason)
    made = columns_by_name([index, *(v._replace(name=n) for n, v in relation.columns.items())])
    return replace(relation, columns=made, keys=(*relation.keys, frozenset({number})))


def _explode(content: Mapping[str, Any], operator: Operator) -> Relation:
    relation = operator.relation
    lists = set(operator.scope.expand(content["columns"]))
    unfolded = [value for name, value in relation.columns.items() if name in lists]
    rest = {key: part for key, part in content.items() if key != "columns"}
    rows = term("explode", relation.rows, [value.term for value in unfolded], rest)
    length = Length(rows, relation.reads | union_reads(value.reads for value in unfolded))
    return Relation(
        rows=rows,
        reads=length.reads,
        columns={
            name: _place_column(name, value, length, "unfolded" if name in lists else "repeated")
            for name, value in relation.columns.items()
        },
        open=relation.open,
        unstable=first_reason(relation.unstable, *(value.unstable for value in unfolded)),
    )


def _place_column(name: str, value: Value, length: Length, how: str) -> Value:
    numeric = value.numeric and how == "repeated"
    number = term(how, length.term, value.term)
    return Value(name, number, length, value.reads, numeric, name, "", value.unstable)


def _unpivot(content: Mapping[str, Any], operator: Operator) -> Relation:
    relation, args = operator.relation, content["args"]
    index = operator.scope.expand(args["index"]) if args["index"] is not None else []
    on = [name for name in relation.columns if name not in index]
    if args["on"] is not None:
        on = operator.scope.expand(args["on"])
    if not on:
        raise UnknownMeaning("an unpivot of no columns")
    length = Length(term("unpivot", relation.rows, len(on)), relation.reads)
    molten = [relation.columns[name] for name in on]
    numbers = (
        term("variable", length.term, on),
        term("molten", length.term, [v.term for v in molten]),
    )
    variable, value = args["variable_name"] or "variable", args["value_name"] or "value"
    doubt = first_reason(*(part.unstable for part in molten))
    outputs = [
        *(_place_column(name, relation.columns[name], length, "repeated") for name in index),
        Value(variable, numbers[0], length, 0, False, variable),
        Value(
            value, numbers[1], length, union_reads(v.reads for v in molten), False, value, "", doubt
        ),
    ]
    made = columns_by_name(outputs)
    if list(made) != operator.names():
        raise UnknownMeaning("the names of an unpivot")
    return Relation(
        rows=length.term,
        reads=length.reads,
        columns=made,
        open="unpivot",
        unstable=relation.unstable,
    )


def _unnest(content: Mapping[str, Any], operator: Operator) -> Relation:
    if content["separator"] is not None:
        raise UnknownMeaning("an unnest that makes names")
    structs = set(operator.scope.expand(content["columns"]))
    schema = operator.inputs[0].schema()
    found = []
    for name, value in operator.relation.columns.items():
        dtype = schema[name]
        if name not in structs:
            found.append(value._replace(name=name))
        elif isinstance(dtype, pl.Struct):
            found += [_field(value, part.name) for part in dtype.fields]
        else:
            raise UnknownMeaning("an unnest of a column that isn't a struct")
    return operator.relation.with_columns(columns_by_name(found))


def _field(value: Value, name: str) -> Value:
    number = term("field", value.term, name)
    return value._replace(name=name, term=number, numeric=False, root=name, copied=False)


def _stats(content: Any, operator: Operator) -> Relation:
    relation = operator.relation
    if "Column" in repr(content):
        raise UnknownMeaning("totals by a column")
    totals = {
        name: Value(
            name,
            term("total", content, value.term, relation.rows),
            ONE,
            value.reads | relation.reads,
            False,
            name,
            "",
            first_reason(value.unstable, relation.unstable),
        )
        for name, value in relation.columns.items()
    }
    return Relation(rows=ONE.term, reads=0, columns=totals, keys=(frozenset(),))


def _fill_nan(content: Any, operator: Operator) -> Relation:
    if "Dyn" not in content["Literal"] and "Scalar" not in content["Literal"]:
        raise UnknownMeaning("NaN that is filled with values of rows")
    return operator.relation.with_columns(
        {
            name: value._replace(term=term("fill_nan", content, value.term), copied=False)
            for name, value in operator.relation.columns.items()
        }
    )


def _sorted_hint(content: Any, operator: Operator) -> Relation:
    """Columns that the user declares sorted: Polars trusts that, so it affects later operators."""
    hinted = [hint["column"] for hint in content["Sorted"]]
    marks = [[hint["descending"], hint["nulls_last"]] for hint in content["Sorted"]]
    values = [operator.scope.column(name) for name in hinted]
    terms = [value.term for value in values]
    reads = operator.relation.reads | union_reads(value.reads for value in values)
    made = dict(operator.relation.columns)
    for place, value in enumerate(values):
        number = term("sorted", marks, terms, place, operator.relation.rows)
        made[hinted[place]] = value._replace(term=number, reads=reads)
    return operator.relation.with_columns(made)


_FUNCTIONS: Mapping[str, Callable[[Any, Operator], Relation]] = {
    "Explode": _explode,
    "FillNan": _fill_nan,
    "Hint": _sorted_hint,
    "Rename": _rename,
    "RowIndex": _row_index,
    "Stats": _stats,
    "Unnest": _unnest,
    "Unpivot": _unpivot,
}
HANDLERS: Mapping[str, Handler] = {"MapFunction": _map_function}
