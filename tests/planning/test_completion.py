"""What was settled isn't looked at again, and the plan is the one that looking at everything gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import (
    Mishaps,
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
from tests.support.thoroughness import examples, thorough
from tests.support.worlds import WINDOWS, change, requests, worlds
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding
from tidemill.workflow.impure import Impure
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.trigger import NewData
from tidemill.workflow.window import last

# Each example is a history that is planned twice at every turn.
HISTORIES = settings(max_examples=examples(20, 33))

DAYS = ["2013-03-01", "2013-03-02", "2013-03-03", "2013-03-04"]


@thorough
@settings(HISTORIES)
@given(data=st.data(), world=worlds())
def test_marks_change_no_plan(data: st.DataObject, world: World) -> None:
    live(data, world)


@st.composite
def chains(draw: st.DrawFn) -> World:
    """Stages by day that read what came before them, most of them their own day only."""
    raw, side, table = ingest("raw"), ingest("side", start="2013-03-02"), ingest("table", "whole")
    stages: list[Stage] = [raw, side, table]
    for number in range(draw(st.integers(2, 5))):
        cut = draw(st.sampled_from(["day", "day", "day", "whole"]))
        chosen = draw(st.lists(st.sampled_from(stages), min_size=1, max_size=3, unique=True))
        inputs = [
            reads(
                stage,
                draw(st.sampled_from([None] * 8 + WINDOWS[3:6])) if stage.partitioning.grain else None,
                optional=draw(st.booleans()),
            )
            for stage in chosen
        ]  # fmt: skip
        if all(stage.partitioning.is_whole for stage in chosen):
            cut = "whole"
        stages.append(transform(f"t{number}", cut, *inputs))
    if draw(st.booleans()):
        features = draw(st.sampled_from([stage for stage in stages if stage.partitioning.grain]))
        trained = model("mod", reads(features, last(2)), retrain=NewData())
        stages += [trained, evaluate("ev", trained, reads(features, last(2)))]
        stages.append(deliver("out", trained, features))
    world = World(flow=flow_of(*stages), coarse=draw(st.sets(st.sampled_from([*"t0 t1"]))))
    for stage in (raw, side):
        for day in DAYS[: draw(st.integers(2, 4))]:
            world.feed(stage.name, day, day, *draw(st.sampled_from([[], ["(none)"]])))
    world.feed("table", "t", WHOLE)
    return world


@thorough
@settings(HISTORIES)
@given(data=st.data(), world=chains())
def test_marks_change_no_plan_of_a_chain(data: st.DataObject, world: World) -> None:
    live(data, world)


def live(data: st.DataObject, world: World) -> None:
    """Whatever happens, a plan with marks is the plan without; in the end all that can be is marked."""
    world.run()
    for _ in range(data.draw(st.integers(2, 6))):
        for name in data.draw(st.lists(st.sampled_from([*DISTURB]), min_size=1, max_size=2)):
            DISTURB[name](data, world)
        request = data.draw(requests(world.flow)) if data.draw(st.integers(0, 2)) == 0 else {}
        assert world.plan(**request) == world.plan(marks=False, **request)
        names = st.sets(st.sampled_from(world.flow.names), max_size=1)
        mishaps = st.builds(Mishaps, failing=names, surprising=names, touching=names)
        world.run(
            crash_after=data.draw(st.sampled_from([None, None, None, 1, 2, 3, 5])),
            mishaps=data.draw(st.none() | st.none() | mishaps),
            **request,
        )
        assert world.plan() == world.plan(marks=False)
    for _ in range(len(world.flow.names)):
        world.run()
    plan = world.plan()
    assert plan == world.plan(marks=False)
    assert plan.complete <= set(world.settled)


def _appends(data: st.DataObject, world: World) -> None:
    stage = data.draw(st.sampled_from([s for s in world.flow.stages if s.kind is Kind.INGEST]))
    if stage.partitioning.grain == "day":
        day = data.draw(st.sampled_from(DAYS))
        if data.draw(st.integers(0, 4)) or len(world.files.get(stage.name, {})) < 2:
            world.feed(stage.name, day, day, digest=data.draw(st.sampled_from("xyz")))
        else:
            world.files[stage.name].pop(day, None)


def _breaks(data: st.DataObject, world: World) -> None:
    stage = data.draw(st.sampled_from([s.name for s in world.flow.stages if not s.inputs]))
    files = world.files.get(stage, {})
    if world.broken.pop(stage, None) is None and files:
        path = data.draw(st.sampled_from(sorted(files)))
        world.broken[stage] = {path: "unreadable"}
        world.held[stage] = frozenset(files.pop(path).rows)
    else:
        world.held.pop(stage, None)


def _doubts(data: st.DataObject, world: World) -> None:
    name = data.draw(st.sampled_from(world.flow.names))
    if world.unproven.pop(name, None) is None:
        world.unproven[name] = ("it calls eval",)


def _checks(data: st.DataObject, world: World) -> None:
    world.checks[data.draw(st.sampled_from(world.flow.names))] = data.draw(st.sampled_from("ab"))


def _declares(data: st.DataObject, world: World) -> None:
    """An input becomes optional or required, or a stage starts later."""
    stages = list(world.flow.stages)
    number = data.draw(st.integers(0, len(stages) - 1))
    stage = stages[number]
    if stage.output is not None and stage.inputs:
        first, *rest = stage.inputs
        stage = replace(stage, inputs=(replace(first, optional=not first.optional), *rest))
    elif stage.partitioning.grain == "day":
        stage = replace(stage, start=data.draw(st.sampled_from([None, *DAYS[:3]])))
    world.flow = flow_of(*stages[:number], stage, *stages[number + 1 :])


def _loses(data: st.DataObject, world: World) -> None:
    """A delivery that was queued is given up."""
    held = world.heads.get("out", {})
    if held:
        del held[data.draw(st.sampled_from(sorted(held)))]
        world.moves["out"] += 1


DISTURB: dict[str, Callable[[st.DataObject, World], None]] = {
    **dict.fromkeys(["append", "append again", "append still"], _appends),
    "change": change,
    "break": _breaks,
    "doubt": _doubts,
    "check": _checks,
    "declare": _declares,
    "lose": _loses,
}


class Closed(Mapping[str, Binding]):
    """What is bound of a stage, for who knows which partitions he wants; notes them."""

    def __init__(self, held: Mapping[str, Binding], asked: set[str]) -> None:
        self._held, self._asked = held, asked

    def __getitem__(self, partition: str) -> Binding:
        self._asked.add(partition)
        return self._held[partition]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all partitions are read")

    def __len__(self) -> int:
        return len(self._held)

    def items(self) -> ItemsView[str, Binding]:
        raise AssertionError("all partitions are read")

    def values(self) -> ValuesView[Binding]:
        raise AssertionError("all partitions are read")


@dataclass(slots=True, kw_only=True)
class ClosedWorld(World):
    """A world that says which partitions a plan looked at."""

    closed: Collection[str] = ()
    asked: dict[str, set[str]] = field(default_factory=dict)

    def opened(self, stage: str) -> Mapping[str, Binding]:
        if stage not in self.closed:
            return self.heads[stage]
        return Closed(self.heads[stage], self.asked.setdefault(stage, set()))


NAMES = ["raw", "wide", "left", "right", "both"]


def diamond() -> Flow:
    raw, table = ingest("raw"), ingest("table", "whole")
    wide = transform("wide", "day", reads(raw), reads(table))
    left = transform("left", "day", reads(wide))
    right = transform("right", "day", reads(wide), reads(raw, optional=True))
    return flow_of(
        raw, table, wide, left, right, transform("both", "day", reads(left), reads(right))
    )


@pytest.fixture
def world() -> ClosedWorld:
    world = ClosedWorld(flow=diamond())
    for day in DAYS:
        world.feed("raw", f"{day}.csv", day)
    world.feed("table", "t", WHOLE)
    world.run()
    world.closed = world.flow.names
    return world


def test_nothing_is_looked_at_where_nothing_changed(world: ClosedWorld) -> None:
    plan = world.plan()
    assert plan.empty
    assert plan.complete == set(world.flow.names)
    assert plan.current == {
        "table": 1,
        **dict.fromkeys(NAMES, 4),
    }
    assert not any(world.asked.values())
    assert world.plan(stage="left", limit=1).empty


def test_only_what_changed_is_looked_at(world: ClosedWorld) -> None:
    world.feed("raw", f"{DAYS[1]}.csv", DAYS[1], digest="other")
    plan = world.plan()
    assert shown(plan) == [f"run {name}[{DAYS[1]}]" for name in NAMES]
    assert plan.current["both"] == 3
    assert {name: keys - {WHOLE} for name, keys in world.asked.items()} == {
        "table": set(), **{name: {DAYS[1]} for name in NAMES},
    }  # fmt: skip


def declare(world: World, name: str, *, start: str | None = None, **how: Any) -> None:
    """A stage is declared to start later, or to take its first input in another way."""
    stages = list(world.flow.stages)
    number = world.flow.names.index(name)
    inputs = tuple(replace(item, **how) for item in stages[number].inputs)
    stages[number] = replace(stages[number], inputs=inputs, start=start)
    world.flow = flow_of(*stages)


@pytest.mark.parametrize(
    ("happens", "first"),
    [
        (lambda w: w.versions.update(left=1), "left"),
        (lambda w: w.checks.update(right="x"), "right"),
        (lambda w: w.unproven.update(wide=("eval",)), "wide"),
        (lambda w: w.feed("table", "t", WHOLE, digest="other"), "wide"),
        (lambda w: w.moves.update(wide=99), "wide"),
        (lambda w: w.settled.pop("raw"), "raw"),
        (lambda w: declare(w, "left", optional=True), "left"),
        (lambda w: declare(w, "left", window=last(2)), "left"),
        (lambda w: declare(w, "raw", start="2013-03-02"), "raw"),
    ],
)
def test_what_else_changed_is_looked_at_as_a_whole(
    world: ClosedWorld, happens: Callable[[World], None], first: str
) -> None:
    happens(world)
    world.closed = {first}
    with pytest.raises(AssertionError, match="all partitions are read"):
        world.plan()


def test_asked_again_means_all(world: ClosedWorld) -> None:
    world.closed = {"left"}
    with pytest.raises(AssertionError, match="all partitions are read"):
        world.plan(stage="left", again=True)


@pytest.mark.parametrize(
    ("request_", "settled"),
    [
        ({}, {"raw", "table", "wide", "left", "right", "both"}),
        ({"limit": 4}, {"raw", "table", "wide", "left", "right", "both"}),
        # What reads a stage is current when it has all that is there.
        ({"limit": 3}, {"table", "wide", "left", "right", "both"}),
        ({"stage": "left"}, {"raw", "table", "wide", "left"}),
    ],
)
def test_what_a_run_settles(request_: dict[str, Any], settled: set[str]) -> None:
    world = World(flow=diamond())
    for day in DAYS:
        world.feed("raw", f"{day}.csv", day)
    world.feed("table", "t", WHOLE)
    world.run(**request_)
    assert set(world.settled) == settled


@pytest.mark.parametrize(
    ("mishaps", "settled"),
    [
        (Mishaps(failing=["left"]), {"raw", "table", "wide", "right"}),
        (Mishaps(touching=["left"]), {"raw", "table", "wide", "right", "both"}),
    ],
)
def test_what_went_wrong_is_not_settled(mishaps: Mishaps, settled: set[str]) -> None:
    world = World(flow=diamond())
    world.feed("raw", "a", *DAYS)
    world.feed("table", "t", WHOLE)
    world.run(mishaps=mishaps)
    assert set(world.settled) == settled


def test_what_comes_out_otherwise_unsettles_all_behind_it() -> None:
    world = World(flow=diamond())
    world.feed("raw", "a", *DAYS)
    world.feed("table", "t", WHOLE)
    world.run()
    world.feed("raw", "a", *DAYS, digest="other")
    world.run()
    world.feed("raw", "a", *DAYS)
    assert {step.action for step in world.plan().steps} == {"bind"}
    world.settled.clear()
    world.run(mishaps=Mishaps(surprising=["wide"]))
    assert set(world.settled) == {"raw", "table", "wide"}
    assert world.plan() == world.plan(marks=False)


def test_a_window_that_was_moved_by_what_failed_is_not_settled() -> None:
    raw = ingest("raw")
    total = transform("total", "whole", reads(raw, last(1, before=last(1))))
    world = World(flow=flow_of(raw, total))
    for day in DAYS[:3]:
        world.feed("raw", day, day)
    world.run()
    world.feed("raw", DAYS[3], DAYS[3])
    plan = world.run(mishaps=Mishaps(failing=["raw"]))
    assert shown(plan) == ["run total", f"run raw[{DAYS[3]}]"]
    del world.files["raw"][DAYS[3]]
    assert shown(world.plan(marks=False)) == ["bind total"]
    assert world.plan() == world.plan(marks=False)


def test_a_stage_that_time_makes_stale_is_never_settled() -> None:
    raw = ingest("raw")
    world = World(flow=flow_of(raw, replace(transform("t", "day", reads(raw)), impure=Impure())))
    world.feed("raw", "a", *DAYS)
    assert world.run().complete == {"raw"}
    assert set(world.settled) == {"raw"}
