"""What in a case doesn't fit the workflow is named with advice."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.cases.case_faults import case_faults, known_rules, reasons_of_row, upstream_of
from tidemill.cases.stage_case import Expectation, GivenTable, Range, StageCase
from tidemill.workflow.seal import seal


class Shops(tm.Contract):
    shop = tm.String()


class Orders(tm.Contract, key=("id",), unknown_columns="drop"):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    shop = tm.String()
    known = tm.References("shop", Shops)


class Daily(tm.Contract):
    day = Orders.day
    total = tm.Float64()


class Codes(tm.Contract):
    code = tm.Int64()


flow = tm.Workflow("shop")


@flow.ingest
def shops() -> tm.Source[Shops]:
    return tm.files("shops.csv")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.csv")


@flow.ingest
def codes() -> tm.Source[Codes]:
    return tm.files("codes.csv")


@flow.transform
def daily(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    return orders.select("day", total=pl.lit(1.0))


@flow.model(params={"rounds": 3}, window=tm.last("3d", before=tm.last("1d")))
def demand(daily: tm.Frame[Daily], params: tm.Params) -> tm.Fitted:
    raise NotImplementedError


@flow.evaluate(window=tm.last("1d"))
def demand_scores(demand: tm.Predictor, daily: tm.Frame[Daily]) -> tm.Scores:
    raise NotImplementedError


live = flow.approve(demand, gates=[tm.beats_baseline("mae")])
flow.table("forecast", model=live, features=daily, sink=tm.parquet("out"))
FLOW = seal(flow)
ROWS = GivenTable(rows=({"id": 1},))


def faults(stage: str, expect: Expectation | None = None, **fields: Any) -> str:
    case = StageCase(
        name="n", stage=stage, file="x.toml", expect=expect or Expectation(count=1), **fields
    )
    return "\n".join(map(str, case_faults(case, FLOW)))


@pytest.mark.parametrize(
    ("stage", "fields"),
    [
        ("daily", {"given": {"orders": ROWS}, "partition": "2026-01-05"}),
        ("daily", {"given": {"shops": GivenTable(rows=({"shop": "a"},))}}),
        ("orders", {"given": {"orders": GivenTable(rows=({"id": 1, "more": 2},))}}),
        ("daily", {"expect": Expectation(rows=GivenTable(rows=({"total": 1.0},)))}),
        ("demand", {"expect": Expectation(predictions=Range(min=0)), "params": {"demand": {"rounds": 1}}}),
        ("demand_scores", {"expect": Expectation(scores={"mae": Range(max=1)})}),
        ("forecast", {"expect": Expectation(rows=GivenTable(rows=({"prediction": 1},)))}),
        (
            "daily",
            {"expect": Expectation(quarantined={"orders": GivenTable(
                rows=({"id": -1, "_reasons": "id.min key"}, {"more": 1}))})},
        ),
        ("daily", {"expect": Expectation(quarantined={"orders": 3})}),
        ("daily", {"expect": Expectation(quarantined={"orders": GivenTable(
            frame=pl.DataFrame({"id": [1]}))})}),
    ],
)  # fmt: skip
def test_what_fits_has_no_faults(stage: str, fields: dict[str, Any]) -> None:
    assert faults(stage, **fields) == ""


@pytest.mark.parametrize(
    ("stage", "fields", "message"),
    [
        ("dayly", {}, "there is no stage 'dayly' (did you mean 'daily'"),
        ("daily", {"given": {"order": ROWS}}, "there is no stage 'order' (did you mean 'orders'"),
        ("daily", {"given": {"daily": ROWS}}, "daily is the stage that is tested"),
        ("daily", {"given": {"codes": ROWS}}, "daily doesn't read codes"),
        ("forecast", {"given": {"demand": ROWS}}, "demand is a model, which has no rows"),
        (
            "daily",
            {"given": {"shops": GivenTable(rows=({"shp": 1},))}},
            "contract Shops has no column 'shp' (did you mean 'shop'",
        ),
        ("orders", {}, "orders is an ingest, and the case gives it no rows"),
        (
            "daily",
            {"expect": Expectation(rows=GivenTable(rows=({"totl": 1},)))},
            "contract Daily has no column 'totl'",
        ),
        (
            "daily",
            {"expect": Expectation(includes=GivenTable(rows=({},)))},
            "its rows name no columns",
        ),
        (
            "demand",
            {"expect": Expectation(rows=ROWS)},
            "demand is a model, which has no rows (expect predictions or scores)",
        ),
        ("demand", {"expect": Expectation(count=1)}, "demand is a model, which has no rows"),
        (
            "demand",
            {"expect": Expectation(scores={"mae": Range(max=1)})},
            "demand is a model, which has no scores",
        ),
        (
            "daily",
            {"expect": Expectation(predictions=Range(max=1))},
            "daily is a transform, which doesn't predict",
        ),
        ("daily", {"expect": Expectation(quarantined={"x": 1})}, "there is no stage 'x'"),
        (
            "demand",
            {"expect": Expectation(quarantined={"demand": 1})},
            "demand has no contract, so no row is quarantined",
        ),
        (
            "daily",
            {"expect": Expectation(quarantined={"daily": GivenTable(rows=({"x": 1},))})},
            "contract Daily has no column 'x'",
        ),
        (
            "daily",
            {"expect": Expectation(quarantined={
                "orders": GivenTable(rows=({"_reasons": ["id.mn"]},))})},
            "no rule 'id.mn' that rejects rows (did you mean 'id.min'",
        ),
        ("daily", {"params": {"demand": {}}}, "no model 'demand' (daily reads no model)"),
        ("demand", {"params": {"demnd": {}}}, "no model 'demnd' (did you mean 'demand'"),
        ("demand", {"params": {"demand": {"round": 1}}}, "did you mean 'rounds'"),
        ("demand", {"partition": "2026-01-05"}, "demand has no partitions"),
        ("daily", {"partition": "january"}, "'january' is no partition of daily"),
    ],
)  # fmt: skip
def test_faults(stage: str, fields: dict[str, Any], message: str) -> None:
    found = faults(stage, **fields)
    assert message in found
    assert found.startswith("x.toml: 'n'")


def test_upstream_stages() -> None:
    assert upstream_of(FLOW, "forecast") == {"forecast", "demand", "daily", "orders"}
    assert upstream_of(FLOW, "codes") == {"codes"}


@pytest.mark.parametrize(
    ("value", "rules"),
    [(None, ()), ("a b", ("a", "b")), ("a, b", ("a", "b")), (["a"], ("a",)), (3, ("3",))],
)
def test_reasons_of_a_row(value: Any, rules: tuple[str, ...]) -> None:
    assert reasons_of_row({"_reasons": value}) == rules


def test_implied_rules_are_known() -> None:
    assert {"id.null", "id.min", "key", "id.type"} <= known_rules(Orders.__tidemill_contract__)
