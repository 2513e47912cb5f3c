"""The types of parts of expressions; what is refused is in `test_expression`."""

from __future__ import annotations

import ast

import pytest

from tidemill.governance.expression_types import ExpressionFault, check_types
from tidemill.governance.facts import FactType


def test_facts_are_listed_in_the_order_of_their_use() -> None:
    declared = {"a": FactType.INT, "b": FactType.FLOAT, "c": FactType.TEXTS, "d": FactType.STR}
    tree = ast.parse("b > 1 and a < b and any(x == d for x in c)", mode="eval").body
    assert check_types(tree, declared) == ("b", "a", "c", "d")


def test_a_fault_has_the_node_and_what_to_do() -> None:
    tree = ast.parse("1 < aa", mode="eval").body
    with pytest.raises(ExpressionFault, match="no fact 'aa'") as caught:
        check_types(tree, {"aaa": FactType.INT})
    assert getattr(caught.value.node, "col_offset", 0) == 4
    assert caught.value.hint == "did you mean 'aaa'?"
