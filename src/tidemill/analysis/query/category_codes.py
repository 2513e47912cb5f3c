"""Find the places where a query uses the physical codes of a Categorical.

The codes number the categories in the order in which a process has seen them: the same value has other
codes in another process, or after another partition. The codes of an Enum are fixed by its categories.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.opaque_parts import OpaquePart, sorted_parts
from tidemill.analysis.query.operator import input_nodes, parameters_of
from tidemill.analysis.query.serialized import Node, node_schema

_CALLS = ("ToPhysical", {"Categorical": "Physical"})
_SUSPECTS = ('"ToPhysical"', '"Physical"')
Schema: TypeAlias = Mapping[str, pl.DataType]


def find_category_codes(text: str, plan: Node) -> tuple[OpaquePart, ...]:
    """An opaque part for each place that uses the codes of a value that is, or may be, a Categorical."""
    if not any(suspect in text for suspect in _SUSPECTS):
        return ()
    return sorted_parts(_code_uses(plan))


def _code_uses(node: Node) -> Iterator[OpaquePart]:
    for content in (part for part in node.values() if isinstance(part, dict)):
        below = [*input_nodes(content)]
        operands = [*_operands(parameters_of(content))]
        schemas = [node_schema(inner) for inner in below] if operands else []
        yield from (
            OpaquePart("codes", _describe_operand(operand))
            for operand in operands
            if _may_be_categorical(operand, schemas)
        )
        for inner in below:
            yield from _code_uses(inner)


def _operands(part: Any) -> Iterator[Any]:
    """The values whose codes are used in the expressions of one operator."""
    if isinstance(part, list):
        # Bytes are lists of numbers, without expressions.
        for item in part if part and not isinstance(part[0], int) else ():
            yield from _operands(item)
    elif isinstance(part, dict):
        match part:
            case {"Function": {"function": called, "input": [operand]}} if called in _CALLS:
                yield operand
        for item in part.values():
            yield from _operands(item)


def _may_be_categorical(operand: Any, schemas: Sequence[Schema]) -> bool:
    """Whether an operand is a Categorical over any of the frames, or may be."""
    made: list[pl.DataType] = []
    for schema in schemas:
        # Each side of a join has its own columns.
        with suppress(PolarsError):
            frame = pl.LazyFrame(schema=dict(schema)).select(_expression(operand))
            made += frame.collect_schema().dtypes()
    return "Categorical" in repr(made or [operand, *schemas])


def _expression(operand: Any) -> pl.Expr:
    return pl.Expr.deserialize(BytesIO(json.dumps(operand).encode()), format="json")


def _describe_operand(operand: Any) -> str:
    """Describe an operand by the columns that it uses."""
    return ", ".join(_expression(operand).meta.root_names()) or "an expression"
