"""What changed on the data side: files, code, cuts, and what waits; each with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.support.planning import (
    CUTS,
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
from tests.support.rebuild import rebuild
from tests.support.worlds import keys_for
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.workflow.stage import Flow

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
    assert {step.reasons for step in world.run().steps} == {
        ("new partition",),
        ("not published yet",),
    }
    world.feed("raw", "b", DAY2, digest="two", rows=4)
    world.versions["wide"] = 2
    found = {step.id: (step.reasons, step.rows, step.bytes) for step in world.plan().steps}
    assert found == {
        f"run raw[{DAY2}]": (("files changed",), 4, 1000),
        f"run wide[{DAY1}]": (("its code changed",), 10, 80),
        f"run wide[{DAY2}]": (("its code changed", f"upstream `raw` will rerun ({DAY2})"), 10, 80),
        "run table": (("upstream `wide` will rerun (2013-03-01, ...)",), 30, 240),
    }


def test_a_recipe_whose_parts_are_unknown_has_a_reason_too() -> None:
    world = tides()
    world.run()
    world.known_recipes = {}
    world.versions["lookup"] = 2
    world.known_recipes["lookup"] = dict(world.recipe("lookup").parts)
    (step, _) = world.plan().steps
    assert step.reasons == ("its recipe changed",)


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
    assert note.endswith("set version= to vouch for it")


def test_again_is_about_the_stage_that_was_asked_for() -> None:
    world = tides()
    world.run()
    world.feed("raw", "a", DAY1, digest="two")
    found = {s.id: s.reasons for s in world.plan(stage="wide", again=True).steps}
    assert found == {
        f"run raw[{DAY1}]": ("files changed",),
        f"run wide[{DAY1}]": ("rerun requested",),
        f"run wide[{DAY2}]": ("rerun requested",),
    }


def test_again_leaves_alone_what_was_computed_since_it_was_asked_for() -> None:
    world = tides()
    world.run()
    (at,) = {held.at for held in world.heads["wide"].values()}
    assert world.plan(again=True, older_than=at) == world.plan(again=True)
    assert world.plan(again=True, older_than=at - 1.0).empty


def test_stages_that_were_not_asked_for_stay_as_they_are() -> None:
    world = tides()
    world.run()
    world.feed("lookup", "l", WHOLE, digest="two")
    plan = world.plan(stage="wide")
    assert plan.empty
    assert plan.current == {"raw": 2, "wide": 2}


def test_rows_before_the_start_are_left_out_and_counted() -> None:
    world = World(flow=flow_of(ingest("raw", start=DAY2)))
    world.feed("raw", "a", "(none)", DAY1, DAY2)
    plan = world.run()
    assert shown(plan) == ["run raw[(none)]", f"run raw[{DAY2}]"]
    assert plan.notes == (f"raw: skipped 10 rows before its start {DAY2}",)


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
        ("raw", "2013-03-04", "one of its source files can't be read")
    ]


def test_what_is_bound_first_counts_as_read() -> None:
    raw = ingest("raw")
    table = transform("table", "day", reads(raw))
    world = World(flow=flow_of(raw, table))
    world.feed("raw", "a", DAY1)
    world.run()
    # As in a new environment: nothing is published there, but all was made before.
    world.heads.clear()
    world.sources.clear()
    world.settled.clear()
    world.versions["table"] = 1
    assert [(s.action, s.rows, s.bytes) for s in world.plan().steps] == [
        (Action.BIND, 10, 1000),
        (Action.RUN, 10, 80),
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
        ("both", DAY1, f"upstream `other` has no partition {DAY1} yet"),
        ("named", DAY1, f"upstream `names` has no partition {DAY1} yet"),
        ("whole", WHOLE, "upstream `names` has no partition yet"),
    ]


def test_stages_without_a_required_input_of_their_kind_take_the_optional_ones() -> None:
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    joined = transform("joined", "day", reads(raw, optional=True), reads(lookup))
    world = World(flow=flow_of(raw, lookup, joined))
    world.feed("raw", "a", DAY1)
    world.feed("lookup", "l", WHOLE)
    assert f"run joined[{DAY1}]" in shown(world.run())


def test_what_was_computed_on_a_sample_is_neither_current_nor_bound() -> None:
    world = tides()
    world.run()
    held = replace(world.heads["wide"][DAY1], sample=0.5)
    world.heads["wide"][DAY1] = held
    [step] = [step for step in world.plan(marks=False).steps if step.stage == "wide"]
    assert (step.partition, step.action, step.forced) == (DAY1, Action.RUN, True)
    assert step.reasons == ("it was computed on a different sample",)
    # Under the very key that it would have.
    del world.heads["wide"][DAY1]
    assert {s.action for s in world.plan(marks=False).steps if s.stage == "wide"} == {Action.BIND}
    world.traces[held.key] = held
    assert {s.action for s in world.plan(marks=False).steps if s.stage == "wide"} == {Action.RUN}


def delivering(**options: Any) -> World:
    """raw by day -> out, scored by a model of all days."""
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    table = replace(deliver("out", mod, raw), **options)
    world = World(flow=flow_of(raw, mod, evaluate("ev", mod, reads(raw)), table))
    world.feed("raw", "a", DAY1)
    world.feed("raw", "b", DAY2)
    return world


def test_days_that_were_delivered_before_stay_although_the_model_was_trained_on_them() -> None:
    world = delivering()
    world.run()
    table = replace(world.flow["out"], exclude_training=True)
    world.flow = flow_of(*(s for s in world.flow.stages if s.name != "out"), table)
    plan = world.run()
    assert shown(plan) == []
    assert not [note for note in plan.notes if "exclude_training" in note]


def test_a_table_that_is_rescored_says_what_changed() -> None:
    world = delivering(on_new_model="rescore")
    world.run()
    world.feed("raw", "a", DAY1, digest="two")
    steps = [step for step in world.plan().steps if step.stage == "out"]
    assert [(step.partition, step.reasons) for step in steps] == [
        (DAY1, (f"upstream `raw` will rerun ({DAY1})",))
    ]
