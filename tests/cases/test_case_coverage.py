"""What cases cover."""

from __future__ import annotations

import polars as pl
import pytest

import tidemill as tm
from tidemill.cases.case_coverage import CaseCoverage, coverage_of
from tidemill.cases.stage_case import Expectation, StageCase, StageCaseResult
from tidemill.workflow.seal import seal


class Orders(tm.Contract, key=("id",)):
    id = tm.Int64(min=0)


class Daily(tm.Contract):
    id = Orders.id
    total = tm.Float64(max=5)


flow = tm.Workflow("shop")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.csv")


@flow.transform
def daily(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    return orders.with_columns(total=pl.lit(1.0))


flow.table("sent", stage=daily, sink=tm.parquet("out"))
FLOW = seal(flow)


def result(stage: str, **broken: set[str]) -> StageCaseResult:
    case = StageCase(name="x", stage=stage, expect=Expectation(count=1))
    return StageCaseResult(
        case=case, broken={name: frozenset(rules) for name, rules in broken.items()}
    )


def test_nothing_is_covered_without_cases() -> None:
    found = coverage_of(FLOW, [])
    assert found == CaseCoverage(
        stages=2,
        rules=3,
        untested=("orders", "daily"),
        unbroken=("orders.id.min", "orders.key", "daily.total.max"),
    )
    assert found.percent == 0


def test_a_rule_of_a_shared_column_is_broken_anywhere() -> None:
    found = coverage_of(FLOW, [result("orders", orders={"id.min", "key"})])
    assert found.untested == ("daily",)
    assert found.unbroken == ("daily.total.max",)
    assert found.percent == pytest.approx(60)


def test_only_the_stages_that_were_asked_for() -> None:
    found = coverage_of(FLOW, [result("daily", orders={"id.min"})], ["daily"])
    assert (found.stages, found.rules, found.unbroken) == (1, 2, ("daily.total.max",))


def test_a_delivery_counts_if_it_has_a_case() -> None:
    assert coverage_of(FLOW, [result("sent")]).stages == 3


def test_an_empty_workflow_is_covered() -> None:
    assert CaseCoverage(stages=0, rules=0).percent == 100
