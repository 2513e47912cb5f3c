"""A request's rows are judged by the rules that can be evaluated on them alone."""

from __future__ import annotations

import json

import polars as pl

import tidemill as tm
from tests.support.contracts import spec_of
from tidemill.contracts.json_form import from_json, to_json
from tidemill.serving.request_contract import applies, carrying_contract, request_contract


class Orders(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(unique=True)
    day = tm.Date(partition="1d", on_fail="fail")
    price = tm.Float64(on_fail="warn")
    tax = tm.Float64()
    volume = tm.Rows(min=200)
    taxed = tm.rule(pl.col("tax") < pl.col("price"), on_fail="fail")
    listed = tm.rule(pl.col("id") > 0, on_fail="warn")


SPEC = spec_of(Orders)


def test_rules_about_many_rows_dont_apply() -> None:
    spec = request_contract(SPEC, ("price", "id", "day"), "json")
    assert spec.names == ("price", "id", "day")
    assert (spec.key, spec.rows, spec.partitioning.is_whole) == ((), None, True)
    assert not spec.column("id").unique
    assert spec.column("day").on_fail == "quarantine"
    assert spec.column("price").on_fail == "warn"
    assert spec.column("price").text.cells == "json"
    assert [rule.name for rule in spec.rules] == ["listed"]


def test_a_rule_that_fails_a_partition_rejects_the_row() -> None:
    spec = request_contract(SPEC, ("price", "tax"))
    assert [(rule.name, rule.on_fail) for rule in spec.rules] == [("taxed", "quarantine")]


def test_a_rule_that_is_only_recorded_cant_be_evaluated() -> None:
    recorded = from_json(json.loads(json.dumps(to_json(SPEC))))
    assert [applies(rule, SPEC.names) for rule in recorded.rules] == [False, False]


def test_columns_that_are_carried_may_be_left_out() -> None:
    spec = carrying_contract(SPEC, ["id"])
    assert (spec.column("id").optional, spec.column("id").nullable) == (True, True)
    assert spec.column("tax") == SPEC.column("tax")
