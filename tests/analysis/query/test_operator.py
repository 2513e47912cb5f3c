"""An operator, its inputs and its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.query.relations import X
from tidemill.analysis.query.operator import beside, columns, inputs_of, rest_of
from tidemill.analysis.query.plan_walk import Plan
from tidemill.analysis.query.serialized import parsed, written
from tidemill.analysis.query.value_numbers import ONE, Lost, Unknown, Value

A = Value("a", "term a", ONE)


def test_a_part_without_a_schema_is_lost() -> None:
    tree = {"Novelty": {"input": parsed(written(X))}}
    with pytest.raises(Lost, match="has no schema"):
        Plan(keys={}).relation(tree)


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
    assert list(inputs_of(content)) == inputs
    assert rest_of(content) == rest


@pytest.mark.parametrize("values", [[A, A], [A._replace(name=None)]])
def test_columns_must_have_names_that_differ(values: list[Value]) -> None:
    assert columns([A, A._replace(name="b")]) == {"a": A, "b": A._replace(name="b")}
    with pytest.raises(Unknown):
        columns(values)


def test_values_without_an_order_are_undefined_beside_others() -> None:
    assert beside(A) is A
    placed = beside(A._replace(open="mode"))
    assert placed.open == ""
    assert placed.unstable == "values in no fixed order beside other columns (mode)"
