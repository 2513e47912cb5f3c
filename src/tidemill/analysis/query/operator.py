"""One operator of a query, and its input frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.evaluation_scope import EvaluationScope
from tidemill.analysis.query.serialized import Node, node_schema
from tidemill.analysis.query.value_numbers import (
    MissingColumn,
    Relation,
    UnknownMeaning,
    Value,
    first_reason,
)
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True)
class InputFrame:
    """An input frame of an operator, and the part of the plan that computes it."""

    relation: Relation
    node: Node

    @cached_property
    def scope(self) -> EvaluationScope:
        return EvaluationScope.of(self.relation, self.schema)

    def schema(self) -> dict[str, pl.DataType]:
        return polars_schema(self.node)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator: its name, its parameters, its inputs, and its node in the plan."""

    name: str
    content: Mapping[str, Any]
    inputs: tuple[InputFrame, ...]
    node: Node

    @property
    def relation(self) -> Relation:
        return self.inputs[0].relation

    @property
    def scope(self) -> EvaluationScope:
        return self.inputs[0].scope

    def names(self) -> list[str]:
        """The names of the output columns, as Polars gives them."""
        return list(polars_schema(self.node))


_INPUTS = ("input", "input_left", "input_right", "inputs", "idxs")


def input_nodes(content: Mapping[str, Any]) -> Iterator[Node]:
    """The nodes of an operator's inputs."""
    for place in _INPUTS:
        part = content.get(place)
        if isinstance(part, dict):
            yield part
        elif isinstance(part, list):
            yield from part
    for _, part in content.get("relations", ()):
        yield part


def parameters_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an operator, without its inputs."""
    rest = {key: part for key, part in content.items() if key not in _INPUTS}
    if "relations" in rest:
        rest["relations"] = [name for name, _ in rest["relations"]]
    return rest


Handler = Callable[[Operator], Relation]


def polars_schema(node: Node) -> dict[str, pl.DataType]:
    try:
        return node_schema(node)
    except PolarsError as error:
        raise MissingColumn(f"a part of the plan has no schema: {error}") from error


def columns_by_name(values: Iterable[Value]) -> dict[str, Value]:
    """Index values by their names; Unknown if a name is missing or occurs twice."""
    found: dict[str, Value] = {}
    for value in values:
        if value.name is None or value.name in found:
            raise UnknownMeaning(f"the name of a column ({value.name})")
        found[value.name] = value
    return found


def place_in_rows(value: Value, reason: str = "beside other columns") -> Value:
    """Place a value in the rows of a frame: if its order is undefined, its rows are undefined."""
    if not value.open:
        return value
    unstable = first_reason(value.unstable, f"values in no fixed order {reason} ({value.open})")
    return value._replace(open="", unstable=unstable)
