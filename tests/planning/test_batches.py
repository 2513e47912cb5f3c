"""Which steps are made together, and in which order a plan's steps are when some are."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import deliver, flow_of, ingest, model, reads, spec, transform
from tidemill.ledger.run import Action
from tidemill.planning.batches import IN_MEMORY_ROWS, MAX_STEPS, batch_order, can_batch, next_batch
from tidemill.planning.plan import Step
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Stage

RAW = ingest("raw")
FEATURES = transform("features", "day", reads(RAW))
DAILY = transform("daily", "day", reads(FEATURES))
TOTAL = transform("total", "whole", reads(DAILY))
SIDE = replace(transform("side", "day", reads(RAW)), refers={"known": "features"})
MODEL = model("mod", reads(DAILY))
FOLDED = replace(FEATURES, inputs=tuple(replace(item, fold=Mock()) for item in FEATURES.inputs))
FLOW = flow_of(RAW, FEATURES, DAILY, TOTAL, SIDE, MODEL)


def step(stage: str, key: str, action: Action = Action.RUN, **reads: tuple[str, ...]) -> Step:
    return Step(stage=stage, partition=key, action=action, reasons=(), reads=reads)


def days(*keys: str) -> list[Step]:
    """Steps as a plan has them: day after day."""
    return [
        found
        for key in keys
        for found in (
            step("raw", key),
            step("features", key, raw=(key,)),
            step("daily", key, features=(key,)),
        )
    ]


def ids(steps: list[Step]) -> list[str]:
    return [f"{found.stage} {found.partition}" for found in steps]


def test_neighbours_are_of_one_stage() -> None:
    steps = [*days("1", "2"), step("total", "all", daily=("1", "2"))]
    assert ids(batch_order(FLOW, steps, {"features"})) == [
        "raw 1", "raw 2", "features 1", "features 2", "daily 1", "daily 2", "total all",
    ]  # fmt: skip
    assert ids(batch_order(FLOW, steps, {"raw"}))[:3] == ["raw 1", "raw 2", "features 1"]


def test_what_is_made_alone_is_made_day_by_day() -> None:
    steps = days("1", "2", "3")
    assert ids(batch_order(FLOW, steps, {"raw"})) == [
        *("raw 1", "raw 2", "raw 3"),
        *("features 1", "daily 1", "features 2", "daily 2", "features 3", "daily 3"),
    ]
    assert ids(batch_order(FLOW, steps, {"daily"})) == [
        *("raw 1", "features 1", "raw 2", "features 2", "raw 3", "features 3"),
        *("daily 1", "daily 2", "daily 3"),
    ]


def test_one_step_waits_for_nobody() -> None:
    assert batch_order(FLOW, days("1"), {"features"}) == days("1")
    bound = [replace(found, action=Action.BIND) for found in days("1", "2")]
    assert batch_order(FLOW, bound, {"features"}) == bound
    assert batch_order(FLOW, days("1", "2"), set()) == days("1", "2")


def test_what_refers_to_a_table_comes_after_what_waits_of_it() -> None:
    steps = [*days("1", "2"), step("side", "1", raw=("1",))]
    found = ids(batch_order(FLOW, steps, {"features"}))
    assert found.index("side 1") > found.index("features 2")


def test_models_see_all_that_was_planned_before_them() -> None:
    steps = [*days("1", "2"), step("mod", "all", Action.TRAIN, daily=("1", "2")), *days("3", "4")]
    found = ids(batch_order(FLOW, steps, {"features"}))
    assert found.index("mod all") == 6


def test_so_many_wait_and_no_more() -> None:
    keys = [f"{number:03}" for number in range(MAX_STEPS + 1)]
    found = ids(batch_order(FLOW, days(*keys), {"features"}))
    assert found.index(f"features {keys[MAX_STEPS - 1]}") < found.index(f"raw {keys[MAX_STEPS]}")


@given(
    st.lists(st.sampled_from(["raw", "features", "daily", "total", "side", "mod"]), max_size=30),
    st.sets(st.sampled_from(["raw", "features", "daily", "side"])),
    st.data(),
)
def test_no_step_is_lost_or_comes_before_what_it_needs(
    stages: list[str], batched: set[str], data: st.DataObject
) -> None:
    upstream = {stage.name: [item.name for item in stage.inputs] for stage in FLOW.stages}
    steps: list[Step] = []
    for number, name in enumerate(stages):
        known = {at: [s.partition for s in steps if s.stage == at] for at in upstream[name]}
        keys = {
            at: tuple(data.draw(st.sets(st.sampled_from(k))) if k else ())
            for at, k in known.items()
        }
        action = data.draw(st.sampled_from([Action.RUN, Action.RUN, Action.BIND, Action.REMOVE]))
        steps.append(step(name, str(number), action, **keys))
    found = batch_order(FLOW, steps, batched)
    assert sorted(ids(found)) == sorted(ids(steps))
    seen: set[tuple[str, str]] = set()
    for one in found:
        assert all((name, key) in seen for name, keys in one.reads.items() for key in keys)
        seen.add((one.stage, one.partition))
    for name in upstream:
        assert [s for s in found if s.stage == name] == [s for s in steps if s.stage == name]


def test_many_rows_are_for_a_step_of_their_own() -> None:
    assert next_batch({5: 10, 7: 0, 9: IN_MEMORY_ROWS}) == [5, 7, 9]
    assert next_batch({5: 10, 7: IN_MEMORY_ROWS + 1, 9: 1}) == [5]
    assert next_batch({5: IN_MEMORY_ROWS + 1, 7: 1}) == []
    assert len(next_batch(dict.fromkeys(range(100), 1))) == MAX_STEPS
    assert len(next_batch(dict.fromkeys(range(60), IN_MEMORY_ROWS))) == 25


def keyed(stage: Stage) -> Stage:
    return replace(stage, output=replace(spec("day"), key=("own",)))


@pytest.mark.parametrize(
    ("stage", "recipe", "expected"),
    [
        (keyed(FEATURES), Recipe(digest="", min_batch_rows=0, stable=True), True),
        (keyed(FEATURES), Recipe(digest="", min_batch_rows=2, stable=True), True),
        # A query that mustn't see several partitions is collected together with others.
        (keyed(FEATURES), Recipe(digest="", stable=True), True),
        (keyed(FOLDED), Recipe(digest="", stable=True), False),
        (keyed(FEATURES), Recipe(digest="", min_batch_rows=0), False),
        (
            keyed(FEATURES),
            Recipe(digest="", min_batch_rows=0, stable=True, unproven=("the clock",)),
            False,
        ),
        (
            keyed(FEATURES),
            Recipe(digest="", min_batch_rows=0, stable=True, memos=True),
            False,
        ),
        (FEATURES, Recipe(digest="", min_batch_rows=0, stable=True), False),
        (keyed(RAW), Recipe(digest=""), True),
        (RAW, Recipe(digest=""), False),
        (MODEL, Recipe(digest="", min_batch_rows=0, stable=True), False),
        (deliver("out", MODEL, FEATURES), Recipe(digest=""), True),
    ],
)
def test_only_what_surely_stays_apart_is_made_together(
    stage: Stage, recipe: Recipe, expected: bool
) -> None:
    assert can_batch(stage, recipe) is expected
