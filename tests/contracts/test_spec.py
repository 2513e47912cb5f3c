from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import declare, declare_rules
from tidemill.contracts.spec import rule
from tidemill.core.errors import ContractError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"expr": pl.col("a") > 1, "on_fail": "stop"}, "on_fail='stop'"),
        ({"expr": True}, r"rule\(True\) is not a Polars expression"),
        ({"expr": "a > 1"}, "is not a Polars expression"),
    ],
)
def test_a_rule_is_an_expression(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        rule(**arguments)


def test_rules_are_equal_when_their_expressions_are() -> None:
    def within(limit: list[int]) -> Any:
        return rule(pl.col("a").is_in(limit))

    many = list(range(500))
    assert within(many) == within(many)
    assert hash(within(many)) == hash(within(many))
    assert within(many) != within([*many[:-1], -1])  # their text is the same
    assert within(many) != "a rule"
    spec = declare({"a": tm.Int64(), "r": within(many)})
    assert spec == replace(spec, rules=(replace(within(many), name="r"),))


def test_what_looks_further() -> None:
    assert declare_rules({"x": tm.Unique("order")}).has_table_rules
    assert declare_rules({"x": tm.Rows(vs_last=2, within=0.5)}).has_table_rules
    assert not declare_rules({"x": tm.Rows(min=1)}).has_table_rules
    assert not declare_rules({}).has_table_rules
