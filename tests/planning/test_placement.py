"""Where steps are done: quick ones in the run's own thread, others elsewhere; the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.contracts.table_rules import Freshness, Rows
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.hop_costs import HopCosts
from tidemill.planning.placement import (
    Placement,
    RemoteWorkers,
    StageTraits,
    expected_seconds,
    freshness_needs,
)
from tidemill.planning.plan import Plan, Step
from tidemill.runs.io.ready_queue import ReadyQueue
from tidemill.workflow.resources import Resources
from tidemill.workflow.search import Integers, Search
from tidemill.workflow.stage import Flow, Stage, Training

TRAITS = {"pure", "in_process", "memos"}
BOTH = frozenset({"process", "thread"})

RAW = ingest("raw")
FEATURES = transform("features", "day", reads(RAW))
TOTAL = transform("total", "whole", reads(FEATURES))
MODEL = model("mod", reads(FEATURES))
SCORES = evaluate("scores", MODEL, reads(FEATURES))
OUT = deliver("out", MODEL, FEATURES)
FLOW = flow_of(RAW, FEATURES, TOTAL, MODEL, SCORES, OUT)


def fresh(stage: Stage, within: str) -> Stage:
    """The stage, with a table that has to be so fresh."""
    assert stage.output is not None
    rule = Freshness("own", within=within)
    return replace(
        stage, output=replace(stage.output, table_rules=(*stage.output.table_rules, rule))
    )


def with_stage(flow: Flow, stage: Stage) -> Flow:
    stages = tuple(stage if own.name == stage.name else own for own in flow.stages)
    return replace(flow, stages=stages)


def step(stage: str, partition: str = "1", action: Action = Action.RUN, **more: Any) -> Step:
    return Step(stage=stage, partition=partition, action=action, reasons=(), **more)


def placing(*steps: Step, flow: Flow = FLOW, **options: Any) -> Placement:
    plan = Plan(workflow="flow", environment="prod", heads={}, recipes={}, steps=steps)
    traits = StageTraits(**{name: options.pop(name) for name in TRAITS & options.keys()})
    all_options: dict[str, Any] = {"cpus": 4, "engines": BOTH, "traits": traits} | options
    return Placement(flow, plan, **all_options)


def where(one: Step, *others: Step, **options: Any) -> str:
    return placing(one, *others, **options).of(one).where


def test_quick_steps_are_done_by_the_run_itself() -> None:
    for action in (Action.RUN, Action.BIND, Action.RECHECK, Action.REMOVE, Action.GATE):
        assert where(step("features", action=action)) == "here"
    assert where(step("raw", wall_s=0.5)) == "here"


def test_long_steps_go_to_processes() -> None:
    assert where(step("features", wall_s=0.6)) == "process"
    assert where(step("raw", bytes=200_000_000)) == "process"
    # What such a step took before counts, not what it reads.
    assert where(step("raw", bytes=200_000_000, wall_s=0.1)) == "here"


def test_what_only_the_runs_own_process_sees_as_planned_stays() -> None:
    slow = step("raw", wall_s=60.0)
    assert where(slow, in_process={"raw"}) == "here"
    assert where(slow, in_process={"features"}) == "process"
    # Unless it may take the run along.
    assert where(slow, in_process={"raw"}, isolated=True) == "process"


def test_what_no_other_process_could_import_stays() -> None:
    slow = step("features", wall_s=60.0)
    assert where(slow, engines=frozenset()) == "here"
    assert where(slow, engines=frozenset({"thread"})) == "here"


def test_many_quick_steps_are_shared() -> None:
    days = [step("features", str(n), wall_s=0.1) for n in range(100)]
    files = [step("raw", str(n), wall_s=0.1) for n in range(3)]

    assert where(days[0], *days[1:], *files) == "process"
    # Polars computes in threads of one process as well as in several, and that costs less.
    assert where(days[0], *days[1:], pure={"features"}) == "thread"
    assert where(days[0], *days[1:], pure={"features"}, engines=frozenset({"process"})) == "here"
    # Small files are read many at once, by one process.
    assert where(files[0], *files[1:], *days) == "here"
    assert where(days[0], *days[1:40]) == "here"
    assert where(days[0], *days[1:], cpus=1) == "here"
    # Steps that are over before they would be handed over stay, however many there are.
    slight = [step("features", str(n), wall_s=0.01) for n in range(1000)]
    assert where(slight[0], *slight[1:]) == where(slight[0], *days) == "here"


def test_whoever_may_wait_for_calls_keeps_nobody_waiting() -> None:
    days = [step("features", str(n)) for n in range(2)]
    memos: dict[str, Any] = {"memos": {"features"}}
    assert where(*days) == "here"
    assert where(*days, **memos) == "process"
    assert where(*days, pure={"features"}, **memos) == "process"
    # Nobody has to wait, or it is known not to take long.
    assert where(days[0], step("raw"), **memos) == "here"
    assert where(replace(days[0], wall_s=0.1), days[1], **memos) == "here"
    assert where(replace(days[0], action=Action.BIND), days[1], **memos) == "here"
    assert where(*days, engines=frozenset({"thread"}), **memos) == "here"


def test_what_took_a_run_along_is_done_elsewhere() -> None:
    assert where(step("features"), isolated=True) == "process"
    assert where(step("mod", action=Action.GATE), isolated=True) == "here"
    assert where(step("features", action=Action.REMOVE), isolated=True) == "here"


def test_models_are_trained_elsewhere_when_that_takes_long() -> None:
    train, score = step("mod", WHOLE, Action.TRAIN), step("scores", "candidate", Action.EVALUATE)
    big = replace(train, bytes=1_000_000)

    assert where(train, score) == where(score, train) == "here"
    # Nobody knows how long it takes, but it goes over its rows many times.
    assert where(big, score) == where(score, big) == "process"
    assert where(replace(big, wall_s=0.1), score) == "here"
    assert where(replace(train, wall_s=3.0)) == "process"
    assert where(score) == "here"


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (Resources(lane="thread"), "thread"),
        (Resources(lane="process"), "process"),
        (Resources(memory=10), "process"),
        (Resources(timeout_s=1.0), "process"),
        (Resources(gpus=1), "process"),
        (Resources(cpus=2), "process"),
    ],
)
def test_what_a_stage_asks_for(asked: Resources, place: str) -> None:
    flow = with_stage(FLOW, replace(FEATURES, resources=asked))
    one = step("features")

    assert where(one, flow=flow) == place
    assert where(one, flow=flow, engines=frozenset()) == "here"
    assert where(step("features", action=Action.REMOVE), flow=flow) == "here"


def test_limits_that_nobody_can_hold_a_step_to_are_told() -> None:
    flow = with_stage(FLOW, replace(FEATURES, resources=Resources(timeout_s=1.0)))
    flow = with_stage(flow, replace(TOTAL, resources=Resources(memory=10)))
    planned = placing(step("features"), step("raw"), flow=flow, engines=frozenset({"thread"}))

    assert planned.unenforced_limits == ("features",)
    assert placing(step("features"), flow=flow).unenforced_limits == ()
    # Who asks for one process and nothing else knows.
    assert placing(step("features"), flow=flow, engines=frozenset()).unenforced_limits == ()


def test_cpus_are_shared_by_what_is_side_by_side() -> None:
    days = [step("features", str(n), wall_s=9.0) for n in range(3)]

    assert placing(days[0]).of(days[0]).cpus == 4
    assert placing(*days[:2]).of(days[0]).cpus == 2
    assert placing(*days).of(days[0]).cpus == 1
    assert placing(*days, cpus=2).of(days[0]).cpus == 1
    threads = with_stage(FLOW, replace(FEATURES, resources=Resources(lane="thread", cpus=3)))
    assert placing(days[0], flow=threads).of(days[0]).cpus == 1
    # Whatever is beside it, a model may have all.
    train = step("mod", WHOLE, Action.TRAIN, wall_s=9.0)
    total = [step("total", WHOLE, wall_s=9.0)]
    assert placing(train, *total).of(train).cpus == 4
    many = with_stage(FLOW, replace(FEATURES, resources=Resources(cpus=64)))
    assert placing(*days, flow=many).of(days[0]).cpus == 4
    half = with_stage(FLOW, replace(FEATURES, resources=Resources(cpus=0.5)))
    assert placing(*days, flow=half).of(days[0]).cpus == 0.5


def test_trials_share_the_cpus() -> None:
    trial = step("mod", WHOLE, Action.TRIAL)

    def cpus(resources: Resources, search: Search | None) -> float | None:
        training = Training(search=search)
        flow = with_stage(FLOW, replace(MODEL, resources=resources, training=training))
        return placing(trial, flow=flow).of(trial).cpus

    two = Search(space={"depth": Integers(low=1, high=9)}, metric="mae", parallel=2)
    assert cpus(Resources(lane="process"), two) == 2
    assert cpus(Resources(lane="process"), replace(two, parallel=9)) == 1
    assert cpus(Resources(lane="process"), None) == 4
    # A stage that asks for CPUs gets them.
    assert cpus(Resources(cpus=3), two) == 3


def test_classes() -> None:
    days, train = step("features", wall_s=9.0), step("mod", WHOLE, Action.TRAIN, wall_s=9.0)

    places = placing(days, train)
    assert (places.of(days).worker_class, places.of(train).worker_class) == ("default", "training")
    # All that nothing fresh depends on is deferrable, once anything is fresh.
    places = placing(days, train, flow=with_stage(FLOW, fresh(RAW, "2h")))
    assert places.of(train).worker_class == "deferrable"
    assert placing(days, flow=replace(FLOW, deferrable=True)).of(days).worker_class == "deferrable"


def test_needs_go_upstream_to_all_that_it_takes() -> None:
    assert freshness_needs(FLOW) == {}
    assert freshness_needs(with_stage(FLOW, fresh(TOTAL, "3d"))) == {
        "total": 72,
        "features": 72,
        "raw": 72,
    } | {
        # What is delivered is as fresh as its rows, and takes a model with scores.
        "out": 72,
        "mod": 72,
        "scores": 72,
    }
    both = with_stage(with_stage(FLOW, fresh(TOTAL, "3d")), fresh(RAW, "26h"))
    assert freshness_needs(both)["raw"] == 26
    assert freshness_needs(with_stage(FLOW, fresh(RAW, "2h"))) == {"raw": 2}
    assert freshness_needs(with_stage(FLOW, fresh(fresh(RAW, "1w"), "2h"))) == {"raw": 2}


def test_what_is_needed_soonest_goes_first() -> None:
    slow, fast = ingest("slow"), fresh(ingest("fast"), "2h")
    later = fresh(transform("later", "day", reads(slow)), "3d")
    flow = flow_of(slow, ingest("never"), later, fast)
    steps = [step(name, day) for day in "12" for name in ("slow", "never", "later", "fast")]

    order = [f"{one.stage}/{one.partition}" for one in placing(*steps, flow=flow).order]
    assert order == [
        *("fast/1", "fast/2"),
        *("slow/1", "later/1", "slow/2", "later/2"),
        *("never/1", "never/2"),
    ]


WITHIN = st.sampled_from(["", "2h", "1d", "1w"])


@given(within=st.lists(WITHIN, min_size=3, max_size=3), data=st.data())
def test_no_step_goes_before_what_it_needs(within: list[str], data: st.DataObject) -> None:
    # Rules beyond the partition let a stage's partitions follow one another, too.
    flow = FLOW
    for stage, span in zip((RAW, FEATURES, TOTAL), within, strict=True):
        flow = with_stage(flow, fresh(stage, span) if span else stage)
    if data.draw(st.booleans()):
        counted = flow["features"]
        assert counted.output is not None
        rows = Rows(vs_last=7, within=0.5)
        flow = with_stage(flow, replace(counted, output=replace(counted.output, rows=rows)))
    days = data.draw(st.lists(st.sampled_from("1234"), unique=True, min_size=1))
    steps = [
        step(name, day, reads=read)
        for day in days
        for name, read in (("raw", {}), ("features", {"raw": (day,)}))
    ]
    steps += [
        step("total", WHOLE, reads={"features": tuple(days)}),
        step("mod", WHOLE, Action.TRAIN, reads={"features": tuple(days)}),
        step(
            "scores",
            "candidate",
            Action.EVALUATE,
            reads={"mod": ("candidate",), "features": ("1",)},
        ),
        step("mod", WHOLE, Action.GATE, reads={"scores": ("candidate",)}),
        *(step("out", day, Action.DELIVER, reads={"features": (day,)}) for day in days),
    ]

    order = placing(*steps, flow=flow).order

    assert sorted(map(id, order)) == sorted(map(id, steps))
    done: set[tuple[str, str, str]] = set()
    turns = ReadyQueue(flow, order, lambda key: pytest.fail(f"waits for {key}"))
    while (at := turns.take()) is not None:
        assert at == len(done), "a step had to wait: it came before what it needs"
        done.add((order[at].stage, order[at].partition, order[at].action))
        turns.finish(at)
    assert len(done) == len(steps)


def test_what_steps_should_take() -> None:
    assert expected_seconds(step("raw", wall_s=3.0)) == 3.0
    assert expected_seconds(step("raw", bytes=100_000_000)) == pytest.approx(1.005)


def test_steps_that_may_be_stopped_are_in_worker_processes() -> None:
    steps = (step("raw"), step("features"), step("mod", WHOLE, Action.GATE))

    def stoppable(one: Step) -> bool:
        return one.stage != "raw" and one.action is not Action.GATE

    placed = placing(*steps, stoppable=stoppable)
    assert [placed.of(one).where for one in steps] == ["here", "process", "here"]
    assert placed.unstoppable == ()
    assert placing(*steps, stoppable=stoppable, engines=()).unstoppable == ("features",)
    bound = placing(*steps, stoppable=lambda _: True, in_process={"raw"})
    assert bound.of(steps[0]).where == "here"
    assert set(bound.unstoppable) == {"raw", "mod"}
    assert placing(*steps).unstoppable == ()


REMOTE = RemoteWorkers(
    cpus={"default": 2.0, "training": 8.0, "deferrable": 2.0},
    most=3,
    here={"raw", "out"},
    near_memory=10**9,
)
ENGINES = BOTH | {"cluster"}


class TestRemote:
    """With workers elsewhere, what would leave the run's own process goes there, if its stage may."""

    @pytest.mark.parametrize(
        ("one", "place"),
        [
            # Sending it would take as long as it takes.
            (step("features", wall_s=0.3), "here"),
            (step("features", wall_s=0.6), "cluster"),
            # A file of this machine.
            (step("raw", wall_s=0.6), "process"),
            (step("out", action=Action.DELIVER, wall_s=0.6), "process"),
            (step("mod", action=Action.GATE), "here"),
        ],
    )
    def test_long_steps_of_stages_that_may_leave_go_there(self, one: Step, place: str) -> None:
        assert where(one, remote=REMOTE, engines=ENGINES) == place

    def test_quick_steps_that_are_long_together_go_there(self) -> None:
        many = [step("features", str(number), wall_s=0.1) for number in range(100)]
        assert where(*many, remote=REMOTE, engines=ENGINES, cpus=1) == "cluster"
        assert where(*many[:20], remote=REMOTE, engines=ENGINES) == "here"

    @pytest.mark.parametrize(
        ("seconds", "hop_s", "place"),
        [
            # Six run at once there, four here: seven hops are worth it.
            (0.6, 0.05, "cluster"),
            (0.6, 0.1, "process"),
            (60.0, 0.1, "cluster"),
            # Nobody knows how long it takes.
            (None, 60.0, "cluster"),
        ],
    )
    def test_a_step_that_isnt_worth_its_hop_stays(
        self, seconds: float | None, hop_s: float, place: str
    ) -> None:
        limited = with_stage(FLOW, replace(FEATURES, resources=Resources(timeout_s=9.0)))
        options: dict[str, Any] = {"flow": limited, "remote": REMOTE, "engines": ENGINES}
        one = step("features", wall_s=seconds)
        assert where(one, hops=HopCosts(hop_s), **options) == place

    @pytest.mark.parametrize("asked", [Resources(gpus=1), Resources(cpus=5.0)])
    def test_what_this_machine_may_lack_leaves_however_short(self, asked: Resources) -> None:
        flow = with_stage(FLOW, replace(FEATURES, resources=asked))
        short = step("features", wall_s=0.001)
        assert where(short, flow=flow, remote=REMOTE, engines=ENGINES) == "cluster"

    def test_a_run_learns_what_steps_without_history_take(self) -> None:
        flow = with_stage(FLOW, replace(FEATURES, resources=Resources(timeout_s=9.0)))
        days = [step("features", str(number)) for number in range(3)]
        hops = HopCosts()
        placed = placing(*days, flow=flow, remote=REMOTE, engines=ENGINES, hops=hops)
        assert placed.of(days[1]).where == "cluster"
        hops.note_step(days[0], 0.001)
        assert placed.of(days[1]).where == "process"
        # What others take says nothing about it, and its history more than the run.
        assert placed.of(step("total", WHOLE)).where == "here"
        assert placed.of(replace(days[2], wall_s=9.0)).where == "cluster"

    def test_of_very_many_steps_without_history_the_first_are_tried_here(self) -> None:
        flow = with_stage(FLOW, replace(FEATURES, resources=Resources(timeout_s=9.0)))
        days = [step("features", str(number)) for number in range(100)]
        options: dict[str, Any] = {"flow": flow, "remote": REMOTE, "engines": ENGINES, "cpus": 1}
        placed = placing(*days, **options)
        found = [placed.of(day).where for day in days]
        assert found == ["process"] * 2 + ["cluster"] * 98
        # Not where they wouldn't fit.
        flow = with_stage(FLOW, replace(FEATURES, resources=Resources(memory=10**10)))
        assert where(*days, **options | {"flow": flow}) == "cluster"

    def test_steps_in_threads_stay(self) -> None:
        limited = replace(FEATURES, resources=Resources(lane="thread"))
        flow = with_stage(FLOW, limited)
        assert where(step("features", wall_s=9.0), flow=flow, remote=REMOTE, engines=ENGINES) == (
            "thread"
        )

    @pytest.mark.parametrize("trait", ["memos", "in_process"])
    def test_what_only_this_machine_has_keeps_steps_here(self, trait: str) -> None:
        options: dict[str, Any] = {trait: {"features"}, "remote": REMOTE, "engines": ENGINES}
        assert where(step("features", wall_s=9.0), **options) in ("process", "here")

    def test_cpus_are_those_of_a_worker_of_the_class(self) -> None:
        learning = step("mod", action=Action.TRAIN, wall_s=60.0)
        many = [step("features", str(number), wall_s=1.0) for number in range(5)]
        placed = placing(learning, *many, remote=REMOTE, engines=ENGINES)
        assert (placed.of(learning).cpus, placed.of(many[0]).cpus) == (8.0, 1.0)
        alone = placing(many[0], remote=REMOTE, engines=ENGINES)
        assert alone.of(many[0]).cpus == 2.0

    def test_a_stage_gets_what_it_asks_for_up_to_a_worker(self) -> None:
        flow = with_stage(FLOW, replace(FEATURES, resources=Resources(cpus=64.0)))
        placed = placing(step("features"), flow=flow, remote=REMOTE, engines=ENGINES)
        assert placed.of(step("features")).cpus == 2.0

    def test_steps_that_may_have_to_stop_can_be_stopped_there(self) -> None:
        placed = placing(
            step("features"), remote=REMOTE, engines=ENGINES, stoppable=lambda each: True
        )
        assert placed.of(step("features")).where == "cluster"
        assert placed.unstoppable == ()

    def test_as_many_steps_as_workers_have_cpus_run_at_once(self) -> None:
        assert REMOTE.slots == 6
