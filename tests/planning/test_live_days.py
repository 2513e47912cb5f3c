"""The days on which a live model is evaluated since its approval."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import (
    World,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    transform,
)
from tidemill.planning.live_days import day_of, live_key, watched_metrics
from tidemill.workflow.gate import Daily
from tidemill.workflow.trigger import all_of, any_of, degraded, every
from tidemill.workflow.window import last

DAYS = [f"2013-03-{day:02}" for day in range(1, 20)]


def live_steps(world: World) -> list[str]:
    return [
        day_of(step.partition)
        for step in world.plan().steps
        if step.stage == "ev" and day_of(step.partition)
    ]


def test_keys_are_of_days_only() -> None:
    assert day_of(live_key("2013-W10")) == "2013-W10"
    assert [day_of(key) for key in ("live", "candidate", "baseline")] == ["", "", ""]


def test_metrics_are_found_in_all_parts_of_a_trigger() -> None:
    trigger = any_of(every("3d"), all_of(degraded("mae", by=0.1), degraded("auc", by=0.1)))
    assert watched_metrics(model("mod", retrain=trigger)) == {"mae", "auc"}
    assert watched_metrics(model("mod", retrain=every("3d"))) == frozenset()
    assert watched_metrics(model("mod")) == frozenset()
    assert watched_metrics(transform("other", "day")) == frozenset()


def labelled(zone: str = "day") -> World:
    """Features by day, labels that come late, and a lookup table that the evaluation reads."""
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    labels = ingest("labels", zone)
    retrain = degraded("mae", by=0.1)
    before = last("4d", before=last("2d")) if zone == "day" else None
    mod = model("mod", reads(raw, before), reads(labels, before), retrain=retrain)
    ev = evaluate("ev", mod, reads(raw, last("2d")), reads(labels, last("2d")), reads(lookup))
    world = World(flow=flow_of(raw, labels, lookup, mod, ev))
    world.feed("lookup", "l", "all")
    return world


def test_a_day_is_evaluated_when_all_inputs_have_it() -> None:
    world = labelled()
    for day in DAYS[:8]:
        world.feed("raw", day, day)
        world.feed("labels", day, day)
    world.run()
    for day in DAYS[8:12]:
        world.feed("raw", day, day)
    assert live_steps(world) == []
    # Labels come with a gap.
    world.feed("labels", DAYS[8], DAYS[8])
    world.feed("labels", DAYS[10], DAYS[10])
    assert live_steps(world) == [DAYS[8], DAYS[10]]
    world.run()
    world.feed("labels", DAYS[9], DAYS[9])
    assert live_steps(world) == [DAYS[9]]
    world.run()
    # A table that every day reads whole changes every day.
    world.feed("lookup", "l", "all", digest="other")
    assert live_steps(world) == DAYS[8:11]


def test_days_that_the_model_was_trained_on_are_never_evaluated() -> None:
    world = labelled()
    for day in DAYS[:8]:
        world.feed("raw", day, day)
        world.feed("labels", day, day)
    world.run()
    # What was recorded before the days of evaluation were: they count from the training on.
    world.live["mod"] = replace(world.live["mod"], through="")
    assert live_steps(world) == DAYS[6:8]
    # After a change of the grain, a key says nothing.
    world.live["mod"] = replace(world.live["mod"], through="2013-02")
    assert live_steps(world) == DAYS[6:8]


def test_an_evaluation_that_reads_nothing_by_time_has_no_days() -> None:
    raw = ingest("raw", "whole")
    mod = model("mod", reads(raw), retrain=degraded("mae", by=0.1))
    world = World(flow=flow_of(raw, mod, evaluate("ev", mod, reads(raw))))
    world.feed("raw", "a", "all")
    world.run()
    world.feed("raw", "a", "all", digest="two")
    world.run()
    assert live_steps(world) == []
    (state,) = world.plan().models
    assert state.evidence is not None
    assert state.evidence.seen == (
        "no evaluation of the model reads an input that is partitioned by time"
    )


@pytest.mark.parametrize("metric", ["mae", "ev.mae"])
def test_days_inside_of_a_partition_count_one_by_one(metric: str) -> None:
    """An evaluation that names the column of days gives the figures of each day of a longer partition."""
    raw = ingest("raw", "month")
    mod = model(
        "mod", reads(raw, last("2mo", before=last("1mo"))), retrain=degraded(metric, by=0.1)
    )
    world = World(flow=flow_of(raw, mod, evaluate("ev", mod, reads(raw, last("1mo")))))
    for month in ("2013-01", "2013-02", "2013-03"):
        world.feed("raw", month, month)
    world.run()
    world.feed("raw", "2013-04", "2013-04")
    world.run()
    bound = world.heads["ev"]["live 2013-04"]
    assert bound.product.scores is not None
    days = tuple(f"2013-04-{day:02}" for day in range(1, 11))
    daily = Daily(days=days, rows=(50,) * 10, metrics={"mae": (2.5, 2.6) * 5})
    scores = replace(bound.product.scores, daily=daily)
    world.heads["ev"]["live 2013-04"] = replace(
        bound, product=replace(bound.product, scores=scores)
    )
    (state,) = world.plan().models
    assert state.evidence is not None
    assert "2.55 on average over 10 labelled days (500 rows)" in state.evidence.seen
