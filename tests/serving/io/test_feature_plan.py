"""Tests of the check whether endpoints can be served with their features stages."""

import polars as pl
import pytest

import tidemill as tm
from tidemill.project.checks import faults_in
from tidemill.serving.io.feature_plan import feature_faults, plan_features
from tidemill.serving.served_features import NotServable
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.seal import seal


class Orders(tm.Contract, version="1.0.0", key=("day", "id")):
    """Orders."""

    day = tm.Date(partition="1d")
    id = tm.Int64()
    price = tm.Float64()
    paid = tm.Float64(role="label")


class Features(tm.Contract, version="1.0.0", key=("day", "id")):
    """Features of orders."""

    day, id = Orders.day, Orders.id
    dear = tm.Float64()


flow = tm.Workflow("orders")


@flow.ingest
def orders() -> tm.Source[Orders]:
    return tm.files("orders/*.parquet")


@flow.transform
def by_row(orders: tm.Frame[Orders]) -> tm.Frame[Features]:
    return orders.select("day", "id", dear=pl.col("price") / 2)


@flow.transform
def by_mean(orders: tm.Frame[Orders]) -> tm.Frame[Features]:
    return orders.select("day", "id", dear=pl.col("price") - pl.col("price").mean())


@flow.transform
def by_label(orders: tm.Frame[Orders]) -> tm.Frame[Features]:
    return orders.select("day", "id", dear="paid")


@flow.transform
def by_typo(orders: tm.Frame[Orders]) -> tm.Frame[Features]:
    return orders.select("day", "id", dear="prize")


@flow.model(window=tm.last("6d", before=tm.last("3d")), retrain=tm.every("30d"))
def model(by_row: tm.Frame[Features]) -> tm.Fitted:
    raise NotImplementedError


@flow.evaluate(window=tm.last("3d"))
def scores(model: tm.Predictor, by_row: tm.Frame[Features]) -> tm.Scores:
    raise NotImplementedError


approved = flow.approve(model, gates=[tm.no_slice_worse("mae", over="day", by=1.0)])
flow.endpoint("row", model=approved, features=by_row)
flow.endpoint("mean", model=approved, features=by_mean)
flow.endpoint("label", model=approved, features=by_label)
flow.endpoint("typo", model=approved, features=by_typo)
flow.endpoint("plain", model=approved)
STAGES = {stage.name: stage for stage in seal(flow).stages}


def test_a_features_stage_asks_for_the_columns_that_it_reads() -> None:
    assert plan_features(STAGES["by_row"]).columns == ("day", "id", "price")


def test_a_stage_that_is_no_transform_computes_no_features() -> None:
    with pytest.raises(NotServable, match="orders is no transform"):
        plan_features(STAGES["orders"])


def test_endpoints_that_cannot_compute_their_features_are_faults() -> None:
    mean, label = feature_faults(seal(flow).endpoints, STAGES)
    assert mean.message.startswith(
        "endpoint 'mean': by_mean doesn't compute each row from one row of an input"
    )
    assert "by rows of orders: an aggregate of all rows, such as mean()" in mean.message
    assert "compute what looks at several rows in an upstream stage" in mean.message
    assert "by_label reads orders.paid, which is a label" in label.message
    assert [mean.where, label.where] == [flow.endpoints[1].place, flow.endpoints[2].place]


@pytest.mark.parametrize("features", ["gone", "orders"])
def test_a_stage_that_is_no_transform_is_left_to_the_checks_of_endpoints(features: str) -> None:
    assert not list(feature_faults([Endpoint(name="a", model="m", features=features)], STAGES))


def test_check_lists_faults_of_stages_and_of_endpoints() -> None:
    stage, *endpoints = faults_in(flow)
    assert "prize" in stage.message
    assert [each.message.split(":")[0] for each in endpoints] == [
        "endpoint 'mean'",
        "endpoint 'label'",
    ]
