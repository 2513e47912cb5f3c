"""What is wrong with the gates of an approval is found when the workflow is loaded."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.workflow.seal import resolve_declaration


class Orders(tm.Contract, version="1.0.0", key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    mail = tm.String(pii="e-mail")
    price = tm.Float64()
    late = tm.Bool()


def sane(candidate: tm.Candidate) -> bool:
    return bool(candidate.scores.rows)


def faults_of(*gates: Any) -> list[str]:
    """The faults of a workflow whose model has these gates."""
    flow = tm.Workflow("shop")

    @flow.ingest
    def orders() -> tm.Source[Orders]:
        return tm.files("data/*.parquet")

    @flow.model(window=tm.last("4d", before=tm.last("2d")))
    def model(orders: tm.Frame[Orders]) -> tm.Fitted:
        raise NotImplementedError

    @flow.evaluate(window=tm.last("2d"))
    def scores(model: tm.Predictor, orders: tm.Frame[Orders]) -> tm.Scores:
        raise NotImplementedError

    live = flow.approve(model, gates=gates)
    flow.endpoint("delays", model=live)
    flow.table("out", model=live, features=orders, sink=tm.sqlite("out.db", "late"))
    return [
        f"{fault.message} ({fault.hint})"
        for fault in resolve_declaration(flow).faults
        if "declared" not in fault.message
    ]


GOLDEN: dict[str, Any] = {"name": "calm", "price": 2.5, "expect": True}


@pytest.mark.parametrize(
    "gate",
    [
        sane,
        tm.gate(sane, name="other"),
        tm.calibrated(),
        tm.latency("5ms"),
        tm.size("50MB"),
        tm.cost_per_1k(0.1),
        tm.contract_ok(),
        tm.fresh("2d"),
        tm.golden([GOLDEN]),
        tm.golden("golden.csv"),
        *map(tm.no_pii_to, ("out", "o*", "sqlite", "sqlite:out.db", "sqlite:out.db:late", "del*")),
    ],
    ids=str,
)
def test_sound_gates_have_no_faults(gate: Any) -> None:
    assert faults_of(gate) == []


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (3, "approve(model): 3 is not a gate (write gates=[tm.beats_live(\"mae\")]"),
        (tm.Contract, "is not a gate"),
        (tm.no_pii_to("oot"), "no_pii_to('oot') matches no endpoint, table or sink of the model (did"),
        (tm.no_pii_to("out", "postgres"), "no_pii_to('postgres') matches no endpoint"),
        (tm.golden([{**GOLDEN, "prise": 1}]),
         "golden row 'calm' has a column 'prise', which Orders 1.0.0 doesn't have (did you mean"),
        (tm.calibrated(metric="other.calibration_error"), "no stage 'other' evaluates it"),
    ],
)  # fmt: skip
def test_faults(gate: Any, says: str) -> None:
    [fault] = faults_of(gate)
    assert says in fault


def test_two_gates_with_one_name_are_refused() -> None:
    assert "two gates are called 'sane'" in faults_of(sane, sane)[0]
    assert faults_of(sane, tm.gate(sane, name="again")) == []


def test_a_model_that_nothing_uses_reaches_nothing() -> None:
    flow = tm.Workflow("shop")

    @flow.ingest
    def orders() -> tm.Source[Orders]:
        return tm.files("data/*.parquet")

    @flow.model(window=tm.last("4d", before=tm.last("2d")))
    def model(orders: tm.Frame[Orders]) -> tm.Fitted:
        raise NotImplementedError

    @flow.evaluate(window=tm.last("2d"))
    def scores(model: tm.Predictor, orders: tm.Frame[Orders]) -> tm.Scores:
        raise NotImplementedError

    flow.approve(model, gates=[tm.no_pii_to("*")])
    [fault] = [f for f in resolve_declaration(flow).faults if "no_pii_to" in f.message]
    assert fault.hint == "nothing uses model"
