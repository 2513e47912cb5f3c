"""What a plan notes besides its steps is said in words."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.ledger.run import Action
from tidemill.planning.plan import ModelState, Plan, Step, Waiting
from tidemill.planning.plan_remarks import (
    model_line,
    plan_remarks,
    trigger_lines,
    without_history,
)
from tidemill.testing.off_peak_records import deferred_work
from tidemill.workflow.trigger import TriggerEvidence


def plan_of(*steps: Step, **known: Any) -> Plan:
    return Plan(workflow="w", environment="prod", heads={}, recipes={}, steps=steps, **known)


def step(stage: str, partition: str = "p", **known: Any) -> Step:
    action = known.pop("action", Action.RUN)
    return Step(stage=stage, partition=partition, action=action, reasons=("new",), **known)


def test_remarks() -> None:
    found = plan_remarks(
        plan_of(
            models=(ModelState(stage="m", outdated=(), due=("asked",), note="no champion"),),
            waiting=(
                Waiting(stage="a", partition="d1", reason="d1 isn't complete"),
                Waiting(stage="a", partition="d2", reason="no data"),
                Waiting(stage="a", partition="d3", reason="no data"),
            ),
            deferred=(deferred_work(),),
            broken={"a": {"x.csv": "x.csv: no header"}},
            notes=("a note",),
        )
    )
    assert found["models"] == ("m: due (asked)", "no champion")
    assert found["waiting"] == ("a d1: d1 isn't complete", "a d2 .. d3 (2): no data")
    assert found["off-peak"][0].startswith("train model waits until")
    assert found["can't be read"] == ("a: x.csv: no header",)
    assert (found["missing"], found["notes"]) == ((), ("a note",))


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        ({}, ""),
        ({"a": 1}, "1 step of a has no history"),
        ({"a": 1, "b": 2}, "1 step of a, 2 of b have no history"),
        ({"a": 2, "b": 1, "c": 1, "d": 1}, "5 steps of 4 stages have no history"),
    ],
)
def test_what_the_estimate_leaves_out(unknown: dict[str, int], told: str) -> None:
    known = step("sales", wall_s=0.02, cpu_s=0.03)
    steps = [step(name, str(n)) for name, count in unknown.items() for n in range(count)]
    assert without_history(plan_of(known, *steps)) == told


def test_nothing_is_known() -> None:
    assert without_history(plan_of(step("a"))) == "no history to estimate from"


def test_triggers() -> None:
    leaf = TriggerEvidence(trigger="every(1d)", fires=True, seen="2 days")
    waiting = TriggerEvidence(trigger="all_of", note="waits", parts=(leaf,))
    both = TriggerEvidence(trigger="any_of", parts=(leaf, waiting))
    assert [*trigger_lines(None)] == []
    assert [*trigger_lines(both)] == [
        "  every(1d) fires: 2 days",
        "    waits",
        "    every(1d) fires: 2 days",
    ]


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({}, "m: up to date, not due"),
        ({"outdated": ("a changed",)}, "m: outdated (a changed), not due"),
        ({"trigger": "every(1d)"}, "m: up to date, not due; retrained when every(1d)"),
        ({"due": ("asked",), "trigger": "every(1d)", "lineage": "continues v1"},
         "m: due (asked); continues v1"),
    ],
)  # fmt: skip
def test_models(known: dict[str, Any], line: str) -> None:
    model = ModelState(**{"stage": "m", "outdated": (), "due": (), **known})
    assert model_line(model, plan_of()) == line


def test_a_training_that_may_follow() -> None:
    training = step("m", action=Action.TRAIN, unlikely=True, reads={"a": ("p",)})
    model = ModelState(stage="m", outdated=("a",), due=("every(1d)",))
    line = model_line(model, plan_of(step("a"), training))
    assert line == "m: may be due (every(1d)), only if the output of `a` changes"
