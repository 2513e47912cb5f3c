"""Drift of a model's inputs is noted in the plan, and makes nothing due."""

from __future__ import annotations

from dataclasses import replace

from tests.support.planning import World, flow_of, ingest, model, reads
from tidemill.contracts.finding import Finding, TableFindings
from tidemill.contracts.table_rules import Drift
from tidemill.workflow.trigger import every

DAYS = [f"2013-03-{day:02}" for day in range(1, 9)]


def drifting(*, rules: bool = True) -> World:
    """A model that was trained on four days, and four more days whose `x` drifted."""
    raw = ingest("raw")
    assert raw.output is not None
    rule = replace(Drift("x", on_fail="warn"), name="steady")
    raw = replace(raw, output=replace(raw.output, table_rules=(rule,) if rules else ()))
    world = World(flow=flow_of(raw, model("mod", reads(raw), retrain=every("90d"), gates=None)))
    for day in DAYS[:4]:
        world.feed("raw", day, day)
    world.run()
    for day in DAYS[4:]:
        world.feed("raw", day, day)
    world.run()
    for day in DAYS:
        found = Finding(rule="steady", severity="warn", rows=9, message=f"psi of x is 0.4 on {day}")
        other = Finding(rule="x.max", severity="warn", rows=1, message="x is high")
        bound = world.heads["raw"][day]
        world.heads["raw"][day] = replace(
            bound, verdict=TableFindings(at=0.0, findings=(found, other))
        )
    return world


def test_drift_since_the_training_is_noted_and_makes_nothing_due() -> None:
    (state,) = drifting().plan().models
    assert state.outdated
    assert state.due == ()
    assert state.drift == (
        "input `raw` drifted in 2013-03-05 .. 2013-03-08 (4): psi of x is 0.4 on 2013-03-08; "
        "investigate it: drift alone doesn't retrain",
    )


def test_without_drift_rules_there_is_none() -> None:
    (state,) = drifting(rules=False).plan().models
    assert state.drift == ()


def test_a_model_that_was_never_trained_has_no_drift() -> None:
    world = drifting()
    del world.heads["mod"]
    (state,) = world.plan().models
    assert state.drift == ()
