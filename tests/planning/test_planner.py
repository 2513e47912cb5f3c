"""Plans: executed on symbols they lead to what a full rebuild gives, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.planning import (
    TIMED,
    World,
    deliver,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    shown,
    transform,
)
from tests.support.rebuild import bounds, cut_name, rebuild
from tests.support.worlds import change, requests, worlds
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.data_stages import FILES
from tidemill.planning.draft import Draft
from tidemill.planning.plan import Plan
from tidemill.planning.planner import request_scope
from tidemill.planning.request import Request
from tidemill.reuse.step_key import key_for


@given(data=st.data(), world=worlds())
def test_any_life_ends_where_a_rebuild_would(data: st.DataObject, world: World) -> None:
    for _ in range(data.draw(st.integers(0, 4))):
        change(data, world)
        request = data.draw(requests(world.flow))
        plan = world.plan(**request)
        holds_together(world, plan, request)
        crash = data.draw(st.none() | st.integers(0, len(plan.steps)))
        world.run(crash_after=crash, **request)
    holds_together(world, world.plan(), {})
    world.run()
    assert world.contents() == rebuild(world)
    again = world.plan()
    assert again.empty
    assert {name: n for name, n in again.current.items() if n} == {
        name: len(contents) for name, contents in world.contents().items()
    }


@given(data=st.data(), world=worlds())
def test_what_is_freed_changes_no_plan(data: st.DataObject, world: World) -> None:
    for _ in range(data.draw(st.integers(0, 2))):
        change(data, world)
        world.run(crash_after=data.draw(st.none() | st.integers(0, 9)))
    change(data, world)
    request = data.draw(requests(world.flow))
    plan = world.plan(**request)
    with patch.object(Draft, "forget"):
        assert world.plan(**request) == plan


@given(data=st.data(), world=worlds())
def test_nothing_is_computed_twice(data: st.DataObject, world: World) -> None:
    for _ in range(data.draw(st.integers(1, 5))):
        change(data, world)
        world.run(crash_after=data.draw(st.none() | st.integers(0, 9)))
    world.run()
    assert len(world.made) == len(set(world.made))


@given(data=st.data(), world=worlds())
def test_a_part_that_was_asked_for_is_done_once(data: st.DataObject, world: World) -> None:
    request = data.draw(requests(world.flow)) | {"again": False, "limit": None}
    change(data, world)
    world.run(**request)
    assert shown(world.plan(**request)) == []


@given(data=st.data(), world=worlds())
def test_limited_runs_get_there_in_the_end(data: st.DataObject, world: World) -> None:
    built = rebuild(world)
    partitions = sum(map(len, built.values()))
    assume(partitions <= 20)
    limit, rounds = data.draw(st.integers(1, 3)), 0
    while not world.run(limit=limit).empty:
        rounds += 1
        assert rounds <= 2 * partitions
    assert world.contents() == built


def holds_together(world: World, plan: Plan, request: Mapping[str, Any]) -> None:
    """What is true of every plan on the data side."""
    place = {(step.stage, step.partition): n for n, step in enumerate(plan.steps)}
    assert len(place) == len(plan.steps)
    pending: dict[tuple[str, str], bool] = {}
    scope = request_scope(world.flow, Request(stage=request.get("stage", "")))
    for number, step in enumerate(plan.steps):
        assert step.stage in scope
        assert step.reasons
        assert selected_by(request, step.partition, cut_name(world.flow[step.stage]))
        read = [(name, key) for name, keys in step.reads.items() for key in keys]
        assert all(place.get(one, -1) < number for one in read)
        assert not [
            one for one in read
            if one in place and plan.steps[place[one]].action is Action.REMOVE
        ]  # fmt: skip
        pending[step.stage, step.partition] = step.action is not Action.BIND
    not_stale(world, plan, pending)
    for waiting in plan.waiting:
        assert place.get((waiting.stage, waiting.partition), -1) < 0 or (
            plan.steps[place[waiting.stage, waiting.partition]].action is Action.REMOVE
        )
    limit = request.get("limit")
    for steps in plan.by_stage().values():
        assert limit is None or sum(s.action is not Action.REMOVE for s in steps) <= limit


def not_stale(world: World, plan: Plan, pending: Mapping[tuple[str, str], bool]) -> None:
    """A step whose inputs are as they are now has another key than what is published."""
    for step in plan.steps:
        read = [(name, key) for name, keys in step.reads.items() for key in keys]
        if step.forced or step.action is Action.REMOVE or any(one in pending for one in read):
            continue
        handed = {
            name: {
                key: plan.sources[step.stage][key].digest if name == FILES
                else world.heads[name][key].product.content
                for key in keys
            }
            for name, keys in step.reads.items()
        }  # fmt: skip
        key = key_for(world.recipe(step.stage), step.partition, handed).key
        bound = world.heads.get(step.stage, {}).get(step.partition)
        assert bound is None or bound.key != key
        assert (step.action is Action.BIND) == (key in world.traces)


def selected_by(request: Mapping[str, Any], partition: str, cut: str) -> bool:
    """Whether a partition lies in the time that was asked for."""
    if cut not in TIMED or partition == "(none)":
        return True
    since, until = request.get("since"), request.get("until")
    start, end = bounds(partition, cut)
    return (since is None or start >= since) and (until is None or end <= until)


def test_scope() -> None:
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    flow = flow_of(
        raw, ingest("far"), mod, evaluate("ev", mod, reads(raw)), deliver("out", mod, raw)
    )
    assert request_scope(flow, Request()) == {"raw", "far", "mod", "ev", "out"}
    assert request_scope(flow, Request(stage="raw")) == {"raw"}
    assert request_scope(flow, Request(stage="out")) == {"raw", "mod", "ev", "out"}
    assert request_scope(flow, Request(stage="far", train=frozenset({"mod"}))) == {
        "raw", "far", "mod", "ev",
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"there is no stage 'rew' \(did you mean 'raw'\?\)"):
        request_scope(flow, Request(stage="rew"))
    with pytest.raises(UsageError, match="there is no stage 'mo'"):
        request_scope(flow, Request(train=frozenset({"mo"})))
    with pytest.raises(UsageError, match=r"'raw' is not a model \(there is: mod\)"):
        request_scope(flow, Request(train=frozenset({"raw"})))


def test_a_plan_names_what_it_was_made_on() -> None:
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    world = World(flow=flow_of(raw, lookup, transform("wide", "day", reads(raw))))
    world.feed("raw", "a", "2013-03-01")
    world.feed("lookup", "l", WHOLE)
    world.run()
    plan = world.plan()
    assert plan.heads == dict.fromkeys(["raw", "lookup", "wide"], 1)
    assert plan.recipes == {name: world.recipe(name).digest for name in world.flow.names}
    assert plan.sources == world.files
    assert (plan.workflow, plan.environment, plan.broken) == ("flow", "prod", {})
