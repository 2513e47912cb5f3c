"""The operator `group_by`: a row for each group, with aggregates of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.analysis.query.constant_choices import LOST_ORDER, choose_constants
from tidemill.analysis.query.expressions import expand_expressions
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


def _group_by(operator: Operator) -> Relation:
    content, relation = operator.content, operator.relation
    if content["apply"] is not None:
        raise UnknownMeaning("groups that are handed to a function")
    keys = expand_expressions(content["keys"], operator.scope)
    windows, index, bounds = _windows(operator)
    inner = replace(
        operator.scope,
        groups=list(columns_by_name(keys)),
        fixed=frozenset(key.term for key in keys),
        selected={},
    )
    if windows and "Selector" in repr(content["aggs"]):
        raise UnknownMeaning("selectors inside of windows")
    having = expand_expressions(content["predicates"], inner)
    rows = term(
        "groups", relation.rows, [key.term for key in keys], windows, [part.term for part in index],
        [part.term for part in having], content["options"]["slice"], content["maintain_order"],
    )  # fmt: skip
    decisive = [*keys, *index, *having]
    length = Length(rows, relation.reads | union_reads(part.reads for part in decisive))
    outputs = [_key_column(rows, place, key, length) for place, key in enumerate(keys)]
    outputs += [_key_column(rows, name, None, length) for name in bounds]
    # A dynamic window is labelled with its beginning.
    labels = [part._replace(copied=False) for part in index]
    outputs += [_key_column(rows, "index", label, length) for label in labels]
    unique = (frozenset(output.term for output in outputs),)
    outputs += [
        _aggregate_column(rows, part, length, relation.open)
        for part in expand_expressions(content["aggs"], inner)
    ]
    lost = choose_constants(content["keys"], operator.scope, relation.choices)
    order = first_reason(relation.open, LOST_ORDER if lost else "")
    return Relation(
        rows=rows,
        reads=length.reads,
        columns=columns_by_name(outputs),
        open=order if content["maintain_order"] else "group_by without maintain_order",
        unstable=first_reason(
            relation.unstable, *(place_in_rows(part).unstable for part in decisive)
        ),
        keys=() if content["options"]["rolling"] else unique,
    )


def _windows(operator: Operator) -> tuple[Any, list[Value], list[str]]:
    """The windows over an index column: their parameters, the column, and the names of their bounds."""
    options = operator.content["options"]
    kinds = [kind for kind in ("dynamic", "rolling") if options[kind]]
    if not kinds:
        return None, [], []
    (kind,) = kinds
    windows = options[kind]
    index = operator.scope.column(windows["index_column"])
    rest = {key: part for key, part in windows.items() if key != "index_column"}
    bounds = windows.get("include_boundaries", False)
    return (kind, rest), [index], ["_lower_boundary", "_upper_boundary"] if bounds else []


def _key_column(rows: str, place: int | str, key: Value | None, length: Length) -> Value:
    number = term("key of groups", rows, place)
    if key is None:
        return Value(str(place), number, length)
    numeric, unstable, copied = key.numeric, key.unstable, key.copied
    return Value(key.name, number, length, key.reads, numeric, key.name, "", unstable, copied)


def _aggregate_column(rows: str, value: Value, length: Length, disorder: str) -> Value:
    unstable = value.unstable
    if value.length != ONE:
        # The values of a group as a list, in the order of its rows.
        reason = first_reason(value.open, disorder)
        unstable = first_reason(
            unstable, reason and f"a list of values in no fixed order ({reason})"
        )
    number = term("gathered", rows, value.term)
    return Value(value.name, number, length, value.reads, value.numeric and value.length == ONE,
                 value.name, "", unstable)  # fmt: skip


HANDLERS: Mapping[str, Handler] = {"GroupBy": _group_by}
