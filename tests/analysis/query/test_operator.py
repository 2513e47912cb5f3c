"""An operator, its inputs and its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.query.relations import X
from tidemill.analysis.query.operator import (
    columns_by_name,
    input_nodes,
    parameters_of,
    place_in_rows,
)
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import ONE, MissingColumn, UnknownMeaning, Value

A = Value("a", "term a", ONE)


def test_a_part_without_a_schema_is_lost() -> None:
    tree = {"Novelty": {"input": parse_query(serialize_query(X))}}
    with pytest.raises(MissingColumn, match="has no schema"):
        PlanWalk(keys={}).relation(tree)


@pytest.mark.parametrize(
    ("content", "inputs", "rest"),
    [
        ({"input": {"A": 1}, "n": 2}, [{"A": 1}], {"n": 2}),
        ({"input_left": {"A": 1}, "input_right": {"B": 1}}, [{"A": 1}, {"B": 1}], {}),
        ({"inputs": [{"A": 1}, {"B": 1}], "args": {}}, [{"A": 1}, {"B": 1}], {"args": {}}),
        ({"relations": [["self", {"A": 1}]]}, [{"A": 1}], {"relations": ["self"]}),
        ({"df": None}, [], {"df": None}),
    ],
)
def test_inputs_and_parameters(content: dict[str, Any], inputs: list[Any], rest: Any) -> None:
    assert list(input_nodes(content)) == inputs
    assert parameters_of(content) == rest


@pytest.mark.parametrize("values", [[A, A], [A._replace(name=None)]])
def test_columns_must_have_names_that_differ(values: list[Value]) -> None:
    assert columns_by_name([A, A._replace(name="b")]) == {"a": A, "b": A._replace(name="b")}
    with pytest.raises(UnknownMeaning):
        columns_by_name(values)


def test_values_without_an_order_are_undefined_beside_others() -> None:
    assert place_in_rows(A) is A
    placed = place_in_rows(A._replace(open="mode"))
    assert placed.open == ""
    assert placed.unstable == "values in no fixed order beside other columns (mode)"
