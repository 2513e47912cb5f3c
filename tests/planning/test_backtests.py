"""Which past windows are planned, and what each of them reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tests.support.planning import World, evaluate, flow_of, ingest, model, reads
from tidemill.planning.plan import Step
from tidemill.workflow.backtest import backtest_ends, backtest_partition
from tidemill.workflow.window import last

DAYS = [f"2013-03-{day:02}" for day in range(1, 31)]


def world_of(days: int, *, backtest: str = "6d", whole: bool = False) -> World:
    """raw by day -> mod on four days before two -> ev on two days, and on those of the past six."""
    raw, extra = ingest("raw"), ingest("extra", "whole")
    others = [reads(extra)] if whole else []
    mod = model("mod", reads(raw, last("4d", before=last("2d"))), *others)
    ev = replace(evaluate("ev", mod, reads(raw, last("2d")), *others), backtest=backtest)
    world = World(flow=flow_of(raw, extra, mod, ev) if whole else flow_of(raw, mod, ev))
    for day in DAYS[:days]:
        world.feed("raw", day, day, rows=10)
    if whole:
        world.feed("extra", "extra", "all", rows=1)
    return world


def backtests(world: World) -> list[Step]:
    """The planned windows."""
    return [step for step in world.plan().steps if step.subject == "backtest"]


def test_each_window_reads_the_days_before_it() -> None:
    steps = backtests(world_of(20))
    ends = backtest_ends(date(2013, 3, 21), 2, 6)
    assert [step.partition for step in steps] == [backtest_partition(end) for end in ends]
    for step, end in zip(steps, ends, strict=True):
        assert step.windows == {
            "training": {"raw": tuple(DAYS[end.day - 7 : end.day - 3])},
            "evaluation": {"raw": tuple(DAYS[end.day - 3 : end.day - 1])},
        }
        assert step.reads["raw"] == tuple(DAYS[end.day - 7 : end.day - 1])
        assert step.reads["mod"] == ("all",)


def test_windows_without_a_training_are_left_out() -> None:
    # Of six days only the last window has days before it.
    assert len(backtests(world_of(6))) < 3
    assert backtests(world_of(2)) == []
    assert backtests(world_of(0)) == []


def test_without_backtest_nothing_more_is_planned() -> None:
    assert backtests(world_of(20, backtest="")) == []


def test_an_input_without_partitions_is_in_both_windows() -> None:
    for step in backtests(world_of(20, whole=True)):
        assert step.windows["training"]["extra"] == step.windows["evaluation"]["extra"] == ("all",)


def test_the_model_may_be_trained_on_a_table_that_nothing_else_reads() -> None:
    raw, labels = ingest("raw"), ingest("labels")
    mod = model("mod", reads(raw, last("4d", before=last("2d"))))
    ev = replace(evaluate("ev", mod, reads(labels, last("2d"))), backtest="6d")
    world = World(flow=flow_of(raw, labels, mod, ev))
    for day in DAYS[:20]:
        world.feed("raw", day, day, rows=10)
        world.feed("labels", day, day, rows=10)
    windows = [step.windows for step in backtests(world)]
    assert [each["training"]["raw"][-1] for each in windows] == [DAYS[12], DAYS[14], DAYS[16]]
    assert [each["evaluation"]["labels"][-1] for each in windows] == [DAYS[14], DAYS[16], DAYS[18]]
