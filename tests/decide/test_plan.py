"""Plans: executed on symbols they lead to what a full rebuild gives, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.decide.drawing import change, keys_for, requests, worlds
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
from tidemill.domain.errors import UsageError
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import Action, Plan
from tidemill.domain.stage import Flow


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


DAY1, DAY2 = "2013-03-01", "2013-03-02"


def tides(**files: str) -> World:
    """raw by day -> wide by day -> table, and a lookup that only the table reads."""
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    wide = transform("wide", "day", reads(raw))
    table = transform("table", "whole", reads(wide), reads(lookup))
    world = World(flow=flow_of(raw, lookup, wide, table))
    world.feed("raw", "a", DAY1)
    world.feed("raw", "b", DAY2)
    world.feed("lookup", "l", WHOLE)
    return world


def test_a_plan_says_why_in_words() -> None:
    world = tides()
    assert {step.reasons for step in world.run().steps} == {("new partition",), ("not built yet",)}
    world.feed("raw", "b", DAY2, digest="two", rows=4)
    world.versions["wide"] = 2
    found = {step.id: (step.reasons, step.rows, step.bytes) for step in world.plan().steps}
    assert found == {
        f"run raw[{DAY2}]": (("files changed",), 4, 1000),
        f"run wide[{DAY1}]": (("its code changed",), 10, 80),
        f"run wide[{DAY2}]": (("its code changed", f"raw runs first ({DAY2})"), 10, 80),
        "run table": (("wide runs first (2013-03-01, ...)",), 30, 240),
    }


def test_a_recipe_whose_parts_are_unknown_has_a_reason_too() -> None:
    world = tides()
    world.run()
    world.known_recipes = {}
    world.versions["lookup"] = 2
    world.known_recipes["lookup"] = dict(world.recipe("lookup").parts)
    (step, _) = world.plan().steps
    assert step.reasons == ("its recipe is another than when it was built",)


def test_a_stage_that_cannot_be_proven_runs_always_and_says_so() -> None:
    world = tides()
    world.unproven["wide"] = ("it reads the clock: now (flow.py:3)",)
    world.run()
    plan = world.plan()
    assert shown(plan) == [f"run wide[{DAY1}]", f"run wide[{DAY2}]", "run table"]
    assert plan.steps[0].forced
    assert plan.steps[0].reasons == (
        "can't be proven unchanged: it reads the clock: now (flow.py:3)",
    )
    (note,) = plan.notes
    assert note.startswith("wide is never reused: it reads the clock")
    assert note.endswith("say version= to vouch for it")


def test_again_is_about_the_stage_that_was_asked_for() -> None:
    world = tides()
    world.run()
    world.feed("raw", "a", DAY1, digest="two")
    found = {s.id: s.reasons for s in world.plan(stage="wide", again=True).steps}
    assert found == {
        f"run raw[{DAY1}]": ("files changed",),
        f"run wide[{DAY1}]": ("asked for again",),
        f"run wide[{DAY2}]": ("asked for again",),
    }


def test_stages_that_were_not_asked_for_stay_as_they_are() -> None:
    world = tides()
    world.run()
    world.feed("lookup", "l", WHOLE, digest="two")
    plan = world.plan(stage="wide")
    assert plan.empty
    assert plan.current == {"raw": 2, "lookup": 1, "wide": 2, "table": 1}


def test_rows_before_the_start_are_left_out_and_counted() -> None:
    world = World(flow=flow_of(ingest("raw", start=DAY2)))
    world.feed("raw", "a", "(none)", DAY1, DAY2)
    plan = world.run()
    assert shown(plan) == ["run raw[(none)]", f"run raw[{DAY2}]"]
    assert plan.notes == (f"raw: 10 rows before its start {DAY2} are left out",)


def test_what_no_file_feeds_any_more_is_removed_downstream_too() -> None:
    world = tides()
    world.run()
    del world.files["raw"]["a"]
    plan = world.plan()
    assert shown(plan) == ["run table", f"remove raw[{DAY1}]", f"remove wide[{DAY1}]"]
    assert plan.current == {"raw": 1, "lookup": 1, "wide": 1, "table": 0}


def test_removal_outside_the_time_that_was_asked_for_waits() -> None:
    world = tides()
    world.run()
    world.files["raw"] = {}
    plan = world.plan(since=datetime(2013, 3, 2))
    assert shown(plan) == ["run table", f"remove raw[{DAY2}]", f"remove wide[{DAY2}]"]
    assert plan.current == {"raw": 1, "lookup": 1, "wide": 1, "table": 0}


def test_while_a_file_is_broken_nothing_that_it_fed_goes() -> None:
    world = tides()
    world.feed("raw", "c", DAY2)
    world.run()
    del world.files["raw"]["a"], world.files["raw"]["c"]
    world.feed("raw", "d", "2013-03-03")
    world.broken["raw"] = {"a": "a can't be read", "c": "c can't be read"}
    # c fed a day that b feeds as well: without c's rows that day would be published with a hole.
    world.held["raw"] = frozenset({DAY1, DAY2, "2013-03-04"})
    plan = world.plan()
    assert shown(plan) == ["run raw[2013-03-03]", "run wide[2013-03-03]", "run table"]
    assert plan.broken == {"raw": world.broken["raw"]}
    assert [(w.stage, w.partition, w.reason) for w in plan.waiting] == [
        ("raw", "2013-03-04", "a file that feeds it can't be read")
    ]


def test_a_file_without_rows_feeds_nothing() -> None:
    world = World(flow=flow_of(ingest("raw")))
    world.feed("raw", "a", DAY1, rows=0)
    assert [(s.rows, s.bytes) for s in world.run().steps] == [(0, 0)]


@pytest.mark.parametrize("before", CUTS)
@pytest.mark.parametrize("after", CUTS)
def test_a_contract_may_be_cut_anew(before: str, after: str) -> None:
    def flow(cut: str) -> Flow:
        raw = ingest("raw", cut)
        return flow_of(raw, transform("next", cut, reads(raw)))

    world = World(flow=flow(before))
    world.feed("raw", "a", *keys_for(before)[-2:])
    world.run()
    world.flow = flow(after)
    world.versions = {"raw": 2, "next": 2}
    world.feed("raw", "a", *keys_for(after)[-2:])
    world.run(since=datetime(2012, 1, 1))
    world.run()
    assert world.contents() == rebuild(world)
    world.broken["raw"] = {"b": "b can't be read"}
    assert world.plan().empty
    world.flow = flow(before)
    world.files["raw"] = {}
    assert all(step.action is Action.REMOVE for step in world.plan().steps)


def test_a_stage_waits_for_what_it_needs() -> None:
    raw, other, names = ingest("raw"), ingest("other"), ingest("names", "value")
    both = transform("both", "day", reads(raw), reads(other))
    named = transform("named", "day", reads(raw), reads(names))
    whole = transform("whole", "whole", reads(names))
    world = World(flow=flow_of(raw, other, names, both, named, whole))
    world.feed("raw", "a", DAY1)
    plan = world.run()
    assert shown(plan) == [f"run raw[{DAY1}]"]
    assert [(w.stage, w.partition, w.reason) for w in plan.waiting] == [
        ("both", DAY1, f"other has no partition {DAY1} yet"),
        ("named", DAY1, f"names has no partition {DAY1} yet"),
        ("whole", WHOLE, "names has no partition yet"),
    ]


def test_stages_without_a_required_input_of_their_kind_take_the_optional_ones() -> None:
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    joined = transform("joined", "day", reads(raw, optional=True), reads(lookup))
    world = World(flow=flow_of(raw, lookup, joined))
    world.feed("raw", "a", DAY1)
    world.feed("lookup", "l", WHOLE)
    assert f"run joined[{DAY1}]" in shown(world.run())


def test_scope() -> None:
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    flow = flow_of(raw, ingest("far"), mod, evaluate("ev", mod, reads(raw)), deliver("out", mod, raw))
    assert scope_of(flow, Request()) == {"raw", "far", "mod", "ev", "out"}
    assert scope_of(flow, Request(stage="raw")) == {"raw"}
    assert scope_of(flow, Request(stage="out")) == {"raw", "mod", "ev", "out"}
    assert scope_of(flow, Request(stage="far", train=frozenset({"mod"}))) == {
        "raw", "far", "mod", "ev",
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"there is no stage 'rew' \(did you mean 'raw'\?\)"):
        scope_of(flow, Request(stage="rew"))
    with pytest.raises(UsageError, match="there is no stage 'mo'"):
        scope_of(flow, Request(train=frozenset({"mo"})))
    with pytest.raises(UsageError, match=r"'raw' is not a model \(there is: mod\)"):
        scope_of(flow, Request(train=frozenset({"raw"})))


def test_a_plan_names_what_it_was_made_on() -> None:
    world = tides()
    world.run()
    plan = world.plan()
    assert plan.heads == dict.fromkeys(["raw", "lookup", "wide", "table"], 1)
    assert plan.recipes == {name: world.recipe(name).digest for name in world.flow.names}
    assert plan.sources == world.files
    assert (plan.workflow, plan.environment, plan.broken) == ("flow", "prod", {})
