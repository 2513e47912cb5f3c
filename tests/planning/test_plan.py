"""Plans as they are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.core.partition import summarize_keys
from tidemill.ledger.cost import Estimate
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step, estimate_of


def step(
    stage: str, partition: str = "all", action: Action = Action.RUN, subject: str = ""
) -> Step:
    """A step without reads."""
    return Step(stage=stage, partition=partition, action=action, reasons=("new",), subject=subject)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (step("table"), "run table"),
        (step("features", "2013-03-07", Action.BIND), "bind features[2013-03-07]"),
        (step("scores", "live", Action.EVALUATE, "live"), "evaluate scores[live] of live"),
        (step("model", action=Action.GATE, subject="candidate"), "gate model of candidate"),
    ],
)
def test_a_step_has_a_name(made: Step, text: str) -> None:
    assert made.id == text


def test_steps_by_stage_in_the_order_in_which_they_run() -> None:
    steps = (step("b", "1"), step("a", "1"), step("b", "2"))
    plan = Plan(workflow="w", environment="prod", heads={}, recipes={}, steps=steps)
    assert list(plan.by_stage().items()) == [("b", [steps[0], steps[2]]), ("a", [steps[1]])]
    assert not plan.empty
    assert Plan(workflow="w", environment="prod", heads={}, recipes={}).empty


def test_a_plan_sums_up_what_it_should_cost() -> None:
    known = replace(step("a"), wall_s=1.0, cpu_s=2.0)
    may, new = replace(known, unlikely=True), step("b")
    plan = Plan(
        workflow="w", environment="prod", heads={}, recipes={}, steps=(known, may, new, known, new)
    )
    assert plan.estimate == Estimate(wall_s=2.0, cpu_s=4.0, known=2, unknown={"b": 2})
    assert plan.may_follow == Estimate(wall_s=1.0, cpu_s=2.0, known=1, unknown={})
    assert estimate_of([new]) == Estimate(wall_s=None, cpu_s=None, known=0, unknown={"b": 1})
    assert estimate_of([]) == Estimate(wall_s=0.0, cpu_s=0.0, known=0, unknown={})


@pytest.mark.parametrize(
    ("keys", "text"),
    [([], ""), (["b"], "b"), (["c", "a", "b"], "a .. c (3)")],
)
def test_spread(keys: list[str], text: str) -> None:
    assert summarize_keys(iter(keys)) == text


def planned(stages: int, partitions: int) -> Plan:
    """A plan of some stages with as many partitions each, and a reason of its own for each step."""
    steps = tuple(
        Step(stage=f"s{n}", partition=str(key), action=Action.RUN, reasons=(f"reason {key}",))
        for n in range(stages)
        for key in range(partitions)
    )
    return Plan(
        workflow="w", environment="prod", heads={}, recipes={}, steps=steps, current={"kept": 7}
    )


def test_a_plan_is_shown_in_one_line_however_many_steps_it_has() -> None:
    assert repr(planned(0, 0)) == "<Plan w in prod: nothing to do>"
    assert repr(planned(1, 1)) == "<Plan w in prod: 1 step: s0 1>"
    assert repr(planned(8, 200)) == (
        "<Plan w in prod: 1,600 steps: s0 200, s1 200, s2 200, s3 200, s4 200, s5 200, 2 more stages>"
    )
