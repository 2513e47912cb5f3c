"""Operators that concatenate frames vertically or horizontally."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.analysis.query.operator import Handler, Operator, columns_by_name
from tidemill.analysis.query.value_numbers import (
    Length,
    Relation,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)


def _union(operator: Operator) -> Relation:
    args = operator.content["args"]
    parts = [below.relation for below in operator.inputs]
    names = list(parts[0].columns)
    if args["diagonal"]:
        names = list(dict.fromkeys(name for part in parts for name in part.columns))
        if names != operator.names():
            raise UnknownMeaning("the names of a diagonal union")
    elif any(list(part.columns) != names for part in parts):
        raise UnknownMeaning("a union of frames with other names")
    length = Length(
        term("union", [part.rows for part in parts], args), union_reads(p.reads for p in parts)
    )
    return Relation(
        rows=length.term,
        reads=length.reads,
        columns={name: _stack_column(name, parts, length) for name in names},
        open=first_reason(*(part.open for part in parts))
        if args["maintain_order"]
        else "union without maintain_order",
        unstable=first_reason(*(part.unstable for part in parts)),
    )


def _stack_column(name: str, parts: list[Relation], length: Length) -> Value:
    found = [part.columns.get(name) for part in parts]
    known = [value for value in found if value is not None]
    number = term("stacked", length.term, [value and value.term for value in found])
    numeric = all(value is not None and value.numeric for value in found)
    unstable = first_reason(*(value.unstable for value in known))
    reads = union_reads(value.reads for value in known)
    return Value(name, number, length, reads, numeric, name, "", unstable)


def _horizontal_concat(operator: Operator) -> Relation:
    parts = [below.relation for below in operator.inputs]
    options = operator.content["options"]
    length = Length(
        term("beside", [p.rows for p in parts], options), union_reads(p.reads for p in parts)
    )
    disorder = first_reason(*(part.open for part in parts))
    misaligned = disorder and f"rows in no fixed order beside others ({disorder})"
    outputs = [
        value._replace(name=name, term=term("beside", length.term, place, value.term))
        for place, part in enumerate(parts)
        for name, value in part.columns.items()
    ]
    return Relation(
        rows=length.term,
        reads=length.reads,
        columns=columns_by_name(outputs),
        unstable=first_reason(*(part.unstable for part in parts), misaligned),
    )


HANDLERS: Mapping[str, Handler] = {"HConcat": _horizontal_concat, "Union": _union}
