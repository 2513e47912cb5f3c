"""Number a query plan from its sources to its result, operator by operator.

An unknown operator is never guessed: it depends on all of its text, and on all columns and rows of its
inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from tidemill.analysis.query import groups, joins, reshape_operators, row_operators, unions
from tidemill.analysis.query.known_functions import NUMBERS, python_name
from tidemill.analysis.query.operator import (
    Handler,
    InputFrame,
    Operator,
    input_nodes,
    parameters_of,
)
from tidemill.analysis.query.placeholders import is_mark, placeholder_input
from tidemill.analysis.query.serialized import Node, variant_of
from tidemill.analysis.query.value_numbers import (
    UNKNOWN_FORM,
    Length,
    Reads,
    Relation,
    Sources,
    Value,
    first_reason,
    term,
    union_reads,
)
from tidemill.core.lazy_dataclass import dataclass

_HANDLERS: Mapping[str, Handler] = {
    **groups.HANDLERS,
    **joins.HANDLERS,
    **reshape_operators.HANDLERS,
    **row_operators.HANDLERS,
    **unions.HANDLERS,
}
# Operators without a handler that are known to keep the order of rows.
_ROW_BY_ROW = {"MatchToSchema"}


@dataclass(frozen=True, slots=True)
class PlanWalk:
    """Turns a plan into relations; `keys` are the columns of each input that are unique together."""

    keys: Mapping[str, Sequence[str]]
    sources: Sources = field(default_factory=Sources)

    def relation(self, node: Node) -> Relation:
        """Number a part of the plan."""
        name, content = variant_of(node)
        if name == "DataFrameScan":
            return self._scan(content)
        below = tuple(InputFrame(self.relation(inner), inner) for inner in input_nodes(content))
        operator = Operator(name, content, below, node)
        try:
            return _HANDLERS[name](operator)
        except UNKNOWN_FORM:
            return self._unknown_operator(operator)

    def _scan(self, content: Mapping[str, Any]) -> Relation:
        source = placeholder_input(content)
        if source is None:
            return _literal_frame(content)
        reads = self.sources.bit(source)
        length = Length(term("input", source), reads)
        columns = {
            name: self._column(source, name, dtype, length)
            for name, dtype in content["schema"]["fields"].items()
        }
        key = frozenset(columns[name].term for name in self.keys.get(source, ()) if name in columns)
        return Relation(rows=length.term, reads=reads, columns=columns, keys=(key,) if key else ())

    def _column(self, source: str, name: str, dtype: Any, length: Length) -> Value:
        reads = 0 if is_mark(name) else self.sources.bit(source, name)
        number = term("column", source, name, dtype)
        return Value(name, number, length, reads, _is_number(dtype), name, copied=True)

    def _unknown_operator(self, operator: Operator) -> Relation:
        """Number an unknown operator."""
        relations = [below.relation for below in operator.inputs]
        rest = parameters_of(operator.content)
        number = term("node", operator.name, rest, [relation.digest for relation in relations])
        reads = union_reads(relation.all_reads for relation in relations) | self.all_reads(rest)
        length = Length(number, reads)
        disorder = first_reason(*(relation.open for relation in relations))
        if operator.name in _ROW_BY_ROW:
            disorder = ""
        unstable = first_reason(
            *(relation.doubt for relation in relations),
            disorder and f"{python_name(operator.name)} over rows in no fixed order ({disorder})",
        )
        return Relation(
            rows=number,
            reads=reads,
            columns={
                name: Value(name, term("column of node", number, name), length, reads, root=name)
                for name in operator.names()
            },
            open=_unknown_order(operator),
            unstable=unstable,
        )

    def all_reads(self, part: Any) -> Reads:
        """All columns of all inputs in a part of the plan."""
        return union_reads(self._scan(content).all_reads for content in _marked_scans(part))


def _marked_scans(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, list):
        # Bytes are lists of numbers, without scans.
        for item in part if part and not isinstance(part[0], int) else ():
            yield from _marked_scans(item)
    elif isinstance(part, dict):
        match part:
            case {"DataFrameScan": {"schema": {"fields": _}} as scan} if (
                placeholder_input(scan) is not None
            ):
                yield scan
            case _:
                for item in part.values():
                    yield from _marked_scans(item)


def _literal_frame(content: Mapping[str, Any]) -> Relation:
    """A frame whose data is in the plan: it is identified by its bytes."""
    number = term("data", content)
    length = Length(number, 0)
    columns = {
        name: Value(name, term("datum", number, name), length, 0, _is_number(dtype), name)
        for name, dtype in content["schema"]["fields"].items()
    }
    return Relation(rows=number, reads=0, columns=columns)


def _is_number(dtype: Any) -> bool:
    return isinstance(dtype, str) and dtype in NUMBERS


def _unknown_order(operator: Operator) -> str:
    """Why the order of an unknown operator's rows is undefined; empty if it is defined."""
    keeps = operator.content.get("maintain_order", operator.name in _ROW_BY_ROW)
    if keeps is True:
        return first_reason(*(below.relation.open for below in operator.inputs))
    if "maintain_order" in operator.content:
        return f"{python_name(operator.name)} without maintain_order"
    return f"the order of {python_name(operator.name)} isn't known"
