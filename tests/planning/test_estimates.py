"""What steps should cost: by what such steps cost, and by the rows that they should read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import (
    World,
    deliver,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    transform,
)
from tidemill.ledger.cost import Cost
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step

DAYS = ("2013-03-01", "2013-03-02", "2013-03-03")
SECONDS = st.floats(0, 1e5)


def cost(seconds: float, rows: float = 10, out: float | None = None) -> Cost:
    """What steps cost that read so many rows, and gave `out` of them."""
    return Cost(
        attempts=3,
        wall_s=seconds,
        cpu_s=2 * seconds,
        rows_in=rows,
        bytes_in=8 * rows,
        rows_out=rows if out is None else out,
    )


def chain() -> World:
    """raw by day -> half by day -> table of all days."""
    raw = ingest("raw")
    half = transform("half", "day", reads(raw))
    table = transform("table", "whole", reads(half))
    return World(flow=flow_of(raw, half, table))


def told(world: World) -> dict[str, float | None]:
    """The wall seconds of each step; CPU seconds must be twice that, or as unknown."""
    steps = world.plan().steps
    for step in steps:
        if step.wall_s is None:
            assert step.cpu_s is None
        elif step.wall_s > 1:
            assert step.cpu_s == pytest.approx(2 * step.wall_s)
    return {step.id: step.wall_s for step in steps}


def test_a_stage_that_never_ran_has_no_estimate() -> None:
    world = chain()
    world.feed("raw", "a", DAYS[0])
    world.costs = {"half": {"run": cost(4.0)}, "table": {"recheck": cost(4.0)}}
    assert told(world) == {
        f"run raw[{DAYS[0]}]": None,
        f"run half[{DAYS[0]}]": 4.0,
        "run table": None,
    }


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        (10, 20.0),  # as always
        (20, 2.0 + 18.0 * 2),  # a tenth doesn't grow
        (1000, 2.0 + 18.0 * 100),
        (1, 2.0 + 1.8),
        (0, 2.0),
    ],
)
def test_it_grows_with_rows(rows: int, seconds: float) -> None:
    world = chain()
    world.costs = {"raw": {"run": cost(20.0)}}
    world.feed("raw", "a", DAYS[0], rows=rows)
    assert told(world)[f"run raw[{DAYS[0]}]"] == pytest.approx(seconds)


def test_rows_tell_nothing_where_hardly_any_were_read() -> None:
    world = chain()
    world.feed("raw", "a", DAYS[0], rows=1000)
    for mean in (0, 0.9):
        world.costs = {"raw": {"run": cost(20.0, mean)}}
        assert told(world)[f"run raw[{DAYS[0]}]"] == 20.0


def test_a_short_step_is_mostly_a_start() -> None:
    world = chain()
    world.feed("raw", "a", DAYS[0], rows=1000)
    for mean, seconds in ((0.002, 0.002), (0.004, 0.003 + 0.001 * 100)):
        world.costs = {"raw": {"run": cost(mean)}}
        assert told(world)[f"run raw[{DAYS[0]}]"] == pytest.approx(seconds)


@given(SECONDS, st.floats(0, 1e6), st.lists(st.integers(0, 10**7), min_size=2, max_size=2))
def test_more_rows_never_cost_less(seconds: float, mean: float, sizes: list[int]) -> None:
    found = []
    for rows in sorted(sizes):
        world = chain()
        world.costs = {"raw": {"run": cost(seconds, mean)}}
        world.feed("raw", "a", DAYS[0], rows=rows)
        found.append(told(world)[f"run raw[{DAYS[0]}]"])
    assert found[0] is not None
    assert found[1] is not None
    assert 0 <= found[0] <= found[1]


def test_rows_that_are_still_to_come_are_those_that_steps_before_should_give() -> None:
    world = chain()
    world.costs = {
        "raw": {"run": cost(20.0, 10, 5)},
        "half": {"run": cost(20.0, 5, 1)},
        "table": {"run": cost(20.0, 3)},
    }
    for name in DAYS[:2]:
        world.feed("raw", name, name)
    world.run()
    world.feed("raw", DAYS[2], DAYS[2], rows=100)  # ten times the mean, so that 50 come out
    assert told(world) == {
        f"run raw[{DAYS[2]}]": pytest.approx(2 + 18 * 10),
        f"run half[{DAYS[2]}]": pytest.approx(2 + 18 * 10),
        # 10 rows of each of the other days, and 10 of 50.
        "run table": pytest.approx(2 + 18 * 10),
    }


def test_without_a_word_of_them_it_is_as_before_or_what_is_known() -> None:
    world = chain()
    for name in DAYS[:2]:
        world.feed("raw", name, name)
    world.run()
    world.feed("raw", DAYS[2], DAYS[2])
    for mean, seconds in ((10, 2 + 18 * 2), (40, 20)):
        world.costs = {"table": {"run": cost(20.0, mean)}}
        assert told(world)["run table"] == pytest.approx(seconds)


def test_what_computes_nothing_costs_what_it_did_or_nothing() -> None:
    world = chain()
    for name in DAYS[:2]:
        world.feed("raw", name, name)
    world.run()
    del world.files["raw"][DAYS[1]]
    world.heads["half"] = {}
    world.settled.clear()
    world.costs = {"half": {"bind": cost(2.0, 0, 9)}}
    assert told(world) == {
        f"remove raw[{DAYS[1]}]": 0.0,
        f"bind half[{DAYS[0]}]": 2.0,
        "run table": None,
    }


def test_models() -> None:
    """Training by its window, gates for nothing, and evaluations by their stage."""
    raw = ingest("raw")
    guess = model("guess", reads(raw))
    score = evaluate("score", guess, reads(raw))
    world = World(flow=flow_of(raw, guess, score, deliver("out", guess, raw)))
    for name in DAYS:
        world.feed("raw", name, name)
    world.costs = {
        "raw": {"run": cost(0.001)},
        "guess": {"train": cost(20.0, 15, 0)},
        "score": {"evaluate": cost(20.0, 30)},
    }
    found: dict[Action, list[Step]] = {}
    for step in world.plan().steps:
        found.setdefault(step.action, []).append(step)
    assert [step.wall_s for step in found[Action.TRAIN]] == [pytest.approx(2 + 18 * 2)]
    assert [step.wall_s for step in found[Action.EVALUATE]] == [pytest.approx(20.0)] * 2
    assert [step.wall_s for step in found[Action.GATE]] == [0.0]
    assert [step.wall_s for step in found[Action.DELIVER]] == [None] * 3
