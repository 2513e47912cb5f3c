"""Plans: executed on symbols they lead to what a full rebuild gives, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decide.planning import (
    CUTS,
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
from tests.decide.rebuild import bounds, cut_name, rebuild
from tidemill.decide.changes import FILES
from tidemill.decide.draft import Request, key_for
from tidemill.decide.plan import scope_of
from tidemill.decide.wiring import wiring_faults
from tidemill.domain.errors import UsageError
from tidemill.domain.partition import WHOLE, Grain, key_of
from tidemill.domain.plan import Action, Plan
from tidemill.domain.stage import Flow, Input, Kind, Stage
from tidemill.domain.window import All, Window, last, too_short

# Around the end of an ISO year, of a month, of a leap day, and far apart.
MOMENTS = [
    datetime(2011, 12, 31, 23) + timedelta(hours=hours)
    for hours in (0, 1, 2, 24, 25, 49, 190, 1410, 1434, 1440, 2200)
]
WINDOWS: list[Window | None] = [
    None, None, None, All(), last(1), last(2), last(3, before=last(1)), last("2h"), last("36h"),
    last("2d"), last("9d"), last("2w"), last("1mo"), last("3mo", before=last("1w")),
    last(2, before=last("1d")), last("1d", before=last(2)),
]  # fmt: skip


def keys_for(cut: str) -> list[str]:
    """Partitions that files may feed."""
    if cut == "whole":
        return [WHOLE]
    if cut == "value":
        return ["(none)", "EWR", "JFK", "all"]
    return ["(none)", *dict.fromkeys(key_of(moment, Grain(cut)) for moment in MOMENTS)]


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """One or two ingests, and transforms of anything that came before."""
    stages = []
    for number in range(draw(st.integers(1, 2))):
        cut = draw(st.sampled_from(CUTS))
        starts = [None, *keys_for(cut)[4:5]] if cut in TIMED else [None]
        stages.append(ingest(f"in{number}", cut, start=draw(st.sampled_from(starts))))
    for number in range(draw(st.integers(1, 4))):
        chosen = draw(st.lists(st.sampled_from(stages), min_size=1, max_size=3, unique=True))
        inputs = [draw(_inputs(stage)) for stage in chosen]
        kinds = {"time" if stage.partitioning.is_time else cut_name(stage) for stage in chosen}
        cuts = ["whole", *(TIMED if "time" in kinds else ()), *(kinds & {"value"})]
        stages.append(transform(f"t{number}", draw(st.sampled_from(cuts)), *inputs))
    assert not wiring_faults({stage.name: stage for stage in stages})
    return flow_of(*stages)


@st.composite
def _inputs(draw: st.DrawFn, producer: Stage) -> Input:
    grain = producer.partitioning.grain
    windows = [w for w in WINDOWS if w is None or (grain and not too_short(w, grain))]
    window = draw(st.sampled_from(windows))
    return reads(producer, window, optional=draw(st.integers(0, 3)) == 0)


@st.composite
def requests(draw: st.DrawFn, flow: Flow) -> dict[str, Any]:
    """All or a stage, some time, some partitions, again."""
    since, until = draw(st.none() | _moments), draw(st.none() | _moments)
    return {
        "stage": draw(st.sampled_from(["", "", *flow.names])),
        "since": since,
        "until": until,
        "limit": draw(st.sampled_from([None, None, 1, 2])),
        "again": draw(st.integers(0, 3)) == 0,
    }


_moments = st.sampled_from(MOMENTS)


def change(data: st.DataObject, world: World) -> None:
    """Files come, change and go; code changes."""
    stage = data.draw(st.sampled_from(world.flow.stages))
    if stage.kind is not Kind.INGEST:
        world.versions[stage.name] = world.versions.get(stage.name, 0) + 1
        return
    path = data.draw(st.sampled_from(["a", "b", "c"]))
    keys = data.draw(st.lists(st.sampled_from(keys_for(cut_name(stage))), max_size=5, unique=True))
    if keys:
        world.feed(stage.name, path, *keys, digest=data.draw(st.sampled_from("xyz")))
    else:
        world.files.get(stage.name, {}).pop(path, None)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A flow with files, nothing of it published."""
    flow = draw(flows())
    coarse = {name for name in flow.names if draw(st.integers(0, 3)) == 0}
    world = World(flow=flow, coarse=coarse)
    for stage in flow.stages:
        if stage.kind is Kind.INGEST:
            keys = keys_for(cut_name(stage))
            for path in "ab":
                fed = draw(st.lists(st.sampled_from(keys), max_size=6, unique=True))
                world.feed(stage.name, path, *fed)
    return world


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
    limit = data.draw(st.integers(1, 3))
    rounds = 0
    while not world.run(limit=limit).empty:
        rounds += 1
        assert rounds < 60
    assert world.contents() == rebuild(world)


def holds_together(world: World, plan: Plan, request: Mapping[str, Any]) -> None:
    """What is true of every plan on the data side."""
    place = {(step.stage, step.partition): n for n, step in enumerate(plan.steps)}
    assert len(place) == len(plan.steps)
    pending: dict[tuple[str, str], bool] = {}
    scope = scope_of(world.flow, Request(stage=request.get("stage", "")))
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
        key, _ = key_for(world.recipe(step.stage), step.partition, handed)
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
