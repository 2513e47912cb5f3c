"""Endpoints of a workflow: what they take, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.endpoint import Endpoint, Rollout
from tidemill.workflow.prediction_log import RequestLog
from tidemill.workflow.seal import seal
from tidemill.workflow.workflow import Workflow


class Raw(tm.Contract):
    day = tm.Date(partition="1d")
    id = tm.Int64()


def raw() -> tm.Source[Raw]:
    return tm.files("raw/*.parquet")


def features(raw: tm.Frame[Raw]) -> tm.Frame[Raw]:
    return raw.filter(pl.col("id") > 0)


def mod(features: tm.Frame[Raw]) -> tm.Fitted:
    raise NotImplementedError


def scores(mod: tm.Predictor, features: tm.Frame[Raw]) -> tm.Scores:
    raise NotImplementedError


def unknown() -> None: ...


def workflow() -> tuple[Workflow, Any]:
    flow = tm.Workflow("shop")
    flow.ingest(raw)
    flow.transform(features)
    flow.model(window=tm.last("60d", before=tm.last("7d")))(mod)
    flow.evaluate(window=tm.last("7d"))(scores)
    return flow, flow.approve(mod, gates=[tm.beats_baseline("mae")])


elsewhere = tm.Workflow("other").approve(mod, gates=[tm.beats_baseline("mae")])


def test_a_sealed_workflow_knows_its_endpoints() -> None:
    flow, live = workflow()
    before = seal(flow).stages
    flow.endpoint("delays", model=live, features=features, rollout=tm.rollout(shadow="5m"))
    flow.endpoint("delays-v2", model=live, log=0.05)
    found = seal(flow)
    assert found.stages == before
    first, second = found.endpoints
    assert first.place.startswith("test_endpoint_options.py:")
    assert first == Endpoint(
        name="delays",
        model="mod",
        features="features",
        rollout=Rollout(shadow_s=300.0),
        place=first.place,
    )
    assert (second.name, second.features, second.rollout) == ("delays-v2", "", None)
    assert (first.log, second.log) == (None, RequestLog(share=0.05))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a/b", {}, "endpoint 'a/b': its name can't stand in a URL (use up to 100 letters"),
        ("", {}, "endpoint '': its name can't stand in a URL"),
        ("..", {}, "endpoint '..': its name can't stand in a URL"),
        ("x" * 101, {}, "its name can't stand in a URL"),
        (5, {}, "endpoint 5: its name can't stand in a URL"),
        ("first", {}, "endpoint 'first' is declared twice, first at test_endpoint_options.py:"),
        ("First", {}, "endpoint 'First' differs from 'first' (test_endpoint_options.py:"),
        ("x", {"model": mod}, "endpoint 'x' takes the model 'mod', which is not approved"),
        ("x", {"model": elsewhere}, "takes an approval of 'mod' by another workflow"),
        ("x", {"features": unknown}, "features=unknown: there is no stage 'unknown'"),
        ("x", {"features": "featurs"}, "(did you mean 'features'?)"),
        ("x", {"features": raw}, "features=raw: 'raw' is of kind ingest, not a transform"),
        ("x", {"model": mod, "log": 1.0}, "takes the model 'mod', which is not approved"),
        ("x", {"log": 5}, "log=5 is neither a share of requests nor made by tm.log()"),
        ("x", {"log": tm.log(carry="idd")}, "log: carry='idd' is no column of its input (did you"),
        (
            "x",
            {"features": features, "log": tm.log(carry="id")},
            "log: requests with features= have all columns that the features read",
        ),
        ("x", {"rollout": "30m"}, "rollout='30m' was not made by tm.rollout()"),
    ],
    ids=str,
)
def test_a_fault_is_named_with_its_endpoint(name: Any, options: Any, says: str) -> None:
    flow, live = workflow()
    flow.endpoint("first", model=live)
    flow.endpoint(name, **{"model": live, **options})
    with pytest.raises(DeclarationError) as caught:
        seal(flow)
    assert says in str(caught.value)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("served", [mod, features], ids=["model", "features"])
def test_in_a_notebook_a_later_cell_replaces_the_endpoint(
    served: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, live = workflow()
    monkeypatch.setattr(served, "__module__", "__main__")
    flow.endpoint("delays", model=live, features=features)
    flow.endpoint("other", model=live, features=features)
    flow.endpoint("delays", model=live, features=features, rollout=tm.rollout())
    assert [(each.name, each.rollout) for each in flow.endpoints] == [
        ("other", None),
        ("delays", Rollout()),
    ]
