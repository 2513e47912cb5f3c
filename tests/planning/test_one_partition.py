"""One partition of a stage is planned with what it reads, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.planning.test_model_stages import DAYS, FIRST, GATE, harbour
from tests.planning.test_planner import holds_together
from tests.support.planning import World, flow_of, ingest, reads, shown, transform
from tests.support.rebuild import rebuild
from tests.support.thoroughness import examples, thorough
from tests.support.worlds import change, worlds
from tidemill.core.errors import UsageError
from tidemill.ledger.run import Action


@thorough
@settings(max_examples=examples(35))
@given(data=st.data(), world=worlds())
def test_one_partition_is_brought_up_to_date_with_what_it_reads(
    data: st.DataObject, world: World
) -> None:
    for _ in range(data.draw(st.integers(1, 2))):
        change(data, world)
        whole = world.plan()
        made = [step for step in whole.steps if step.action is not Action.REMOVE]
        assume(made)
        wanted = data.draw(st.sampled_from(made))
        request: dict[str, Any] = {"stage": wanted.stage, "partition": wanted.partition}
        plan = world.plan(**request)
        holds_together(world, plan, {"stage": wanted.stage})
        assert wanted.id in shown(plan)
        assert set(shown(plan)) <= set(shown(whole))
        # Every step is the partition's, or is read by another.
        read = {
            (name, key) for step in plan.steps for name, keys in step.reads.items() for key in keys
        }
        assert {(step.stage, step.partition) for step in plan.steps} <= read | {
            (wanted.stage, wanted.partition)
        }
        world.run(**request)
        assert shown(world.plan(**request)) == []
    world.run()
    assert world.contents() == rebuild(world)


def test_a_partition_that_is_not_there_is_refused() -> None:
    raw = ingest("raw")
    table = transform("table", "whole", reads(raw))
    world = World(flow=flow_of(raw, table))
    with pytest.raises(UsageError, match="raw has no partition 'x': there is none yet"):
        world.plan(stage="raw", partition="x")
    world.feed("raw", "2013-03-01", "2013-03-01", rows=1)
    with pytest.raises(UsageError, match="there is 2013-03-01; to select a range of time"):
        world.plan(stage="raw", partition="2013-03")
    with pytest.raises(UsageError, match="table has no partitions: leave out '2013-03-01'"):
        world.plan(stage="table", partition="2013-03-01")
    assert len(world.plan(stage="table", partition="all").steps) == 2


def test_one_delivery_waits_for_the_model_and_for_no_other_partition() -> None:
    world = harbour()
    plan = world.plan(stage="out", partition=DAYS[7])
    ids = shown(plan)
    assert ids[-1] == f"deliver out[{DAYS[7]}]"
    assert [one for one in ids if "raw" not in one and "out" not in one] == [*FIRST, GATE]
    assert [model.stage for model in plan.models] == ["mod"]
    world.run()
    world.feed("raw", DAYS[6], DAYS[6], digest="two")
    world.feed("raw", DAYS[7], DAYS[7], digest="two")
    plan = world.plan(stage="raw", partition=DAYS[7])
    assert (shown(plan), plan.models, plan.current) == ([f"run raw[{DAYS[7]}]"], (), {"raw": 7})
