"""What triggers look at, as a plan collects it."""

from __future__ import annotations

import pytest

from tests.support.planning import World, flow_of, ingest, model, reads
from tidemill.workflow.trigger import (
    Trigger,
    TriggerEvidence,
    any_of,
    degraded,
    every,
    max_age,
    prediction_shift,
    volume,
)
from tidemill.workflow.window import last

DAYS = [f"2013-03-{day:02}" for day in range(1, 31)]
DAY_S = 86_400.0


def trained(retrain: Trigger | None, days: int = 8) -> World:
    raw = ingest("raw")
    mod = model("mod", reads(raw, last("60d", before=last("2d"))), retrain=retrain, gates=None)
    world = World(flow=flow_of(raw, mod), clock=10 * DAY_S)
    for day in DAYS[:days]:
        world.feed("raw", day, day)
    world.run()
    return world


def evidence(world: World) -> TriggerEvidence:
    (state,) = world.plan().models
    assert state.evidence is not None
    return state.evidence


def test_without_a_trigger_there_is_none() -> None:
    (state,) = trained(None).plan().models
    assert state.evidence is None


def test_the_age_of_a_model_is_that_of_its_last_training() -> None:
    world = trained(max_age("30d"))
    world.clock = 22.5 * DAY_S
    assert evidence(world).value == pytest.approx(12.5)
    # A clock that was put back.
    world.clock = 0.0
    assert evidence(world).value == 0


def test_partitions_that_are_not_published_yet_are_pending() -> None:
    world = trained(volume(0.5))
    for day in DAYS[8:10]:
        world.feed("raw", day, day)
    # Two of the days that were kept for the evaluation are counted; those of the plan are not yet.
    found = evidence(world)
    assert (found.value, found.limit) == (20, 30)
    assert found.note == ""
    for day in DAYS[10:13]:
        world.feed("raw", day, day)
    assert evidence(world).note == (
        "3 partitions of `raw` in this plan will be counted when published"
    )


def test_time_does_not_pass_while_data_stands_still() -> None:
    world = trained(every("3d"))
    world.clock = 400 * DAY_S
    assert (evidence(world).value, evidence(world).seen) == (
        0.0, "its newest data is still 2013-03-06",
    )  # fmt: skip


def test_a_model_without_gates_is_never_live() -> None:
    world = trained(any_of(degraded("mae", by=0.1), prediction_shift()))
    assert [leaf.seen for leaf in evidence(world).leaves()] == ["no model is live"] * 2
