"""The order of steps: those that another run claimed are put off, with what needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Rows
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.runs.io.ready_queue import ReadyQueue, StepIndex
from tidemill.workflow.stage import Flow, Kind, Stage


def stage(
    name: str,
    kind: Kind = Kind.TRANSFORM,
    model: str = "",
    *,
    serial: bool = False,
    refers: str = "",
) -> Stage:
    columns = (Column(name="x", dtype=DType("Int64")),)
    rows = Rows(vs_last=7, within=0.5) if serial else Rows(min=1)
    return Stage(
        name=name,
        kind=kind,
        function=None,
        inputs=(),
        output=ContractSpec(name="Table", version="1", columns=columns, rows=rows),
        place="here",
        model=model,
        refers={"known": refers} if refers else {},
    )


FLOW = Flow(
    name="flow",
    owner="",
    stages=(
        stage("raw", Kind.INGEST),
        stage("counted", Kind.INGEST, serial=True),
        stage("daily"),
        stage("sales", Kind.INGEST, refers="raw"),
        stage("total"),
        stage("model", Kind.MODEL),
        stage("scores", Kind.EVALUATE),
        stage("out", Kind.DELIVER, model="model"),
    ),
)


def step(name: str, action: Action = Action.RUN, **reads: str) -> Step:
    """`stage/partition`, and for each input the partitions that it reads, with spaces between."""
    owner, _, partition = name.partition("/")
    return Step(
        stage=owner,
        partition=partition or WHOLE,
        action=action,
        reasons=(),
        reads={name: tuple(keys.split()) for name, keys in reads.items()},
    )


def name_of(turn: Step) -> str:
    action = "" if turn.action is Action.RUN else f"{turn.action} "
    return f"{action}{turn.stage}/{turn.partition}"


DAYS = [
    step("raw/1", files="a.parquet"),
    step("daily/1", raw="1"),
    step("raw/2", files="b.parquet"),
    step("daily/2", raw="2"),
    step("total", daily="1 2"),
]

MODEL = [
    step("daily/1"),
    step("model", Action.TRAIN, daily="1"),
    step("scores/candidate", Action.EVALUATE, daily="1", model=WHOLE),
    step("scores/baseline", Action.EVALUATE, daily="1", model="baseline"),
    step("model", Action.GATE, scores="candidate baseline"),
    step("out/1", Action.DELIVER, daily="1"),
    step("raw/2"),
]

COUNTED = [
    step("counted/1"),
    step("raw/1"),
    step("counted/2"),
    step("counted/3"),
    step("raw/2"),
]


REFERRING = [
    step("raw/1"),
    step("raw/2"),
    step("counted/1"),
    step("sales/1"),
    step("sales/2"),
]


def drawn(steps: list[Step], held: Collection[str]) -> list[str]:
    """The steps as they were done, `wait` where the run waited; what is `held` is given by waiting."""
    free: set[str] = set()
    order: list[str] = []

    def wait(key: str) -> None:
        free.add(key)
        order.append("wait")

    for turns, at in in_turn(ReadyQueue(FLOW, steps, wait)):
        name = name_of(steps[at])
        if name in held and name not in free:
            turns.postpone(at, name)
        else:
            order.append(name)
            turns.finish(at)
    return order


def in_turn(turns: ReadyQueue) -> Iterator[tuple[ReadyQueue, StepIndex]]:
    """The steps one after the other."""
    while (at := turns.take()) is not None or turns.retry_postponed(wait=True):
        if at is not None:
            assert turns.is_first(at)
            yield turns, at


@pytest.mark.parametrize(
    ("steps", "held", "order"),
    [
        (DAYS, [], ["raw/1", "daily/1", "raw/2", "daily/2", "total/all"]),
        # What reads it is put off too; what was put off comes in the plan's order.
        (DAYS, ["raw/1"], ["raw/2", "daily/2", "wait", "raw/1", "daily/1", "total/all"]),
        (DAYS, ["daily/1"], ["raw/1", "raw/2", "daily/2", "wait", "daily/1", "total/all"]),
        (DAYS, ["total/all"], ["raw/1", "daily/1", "raw/2", "daily/2", "wait", "total/all"]),
        # Two at once: waiting for the one makes it a turn of its own.
        (
            DAYS,
            ["daily/1", "daily/2"],
            ["raw/1", "raw/2", "wait", "daily/1", "wait", "daily/2", "total/all"],
        ),
        # What refers to a table waits for all of it.
        (
            REFERRING,
            ["raw/2"],
            ["raw/1", "counted/1", "wait", "raw/2", "sales/1", "sales/2"],
        ),
        (
            REFERRING,
            ["raw/1", "raw/2"],
            ["counted/1", "wait", "raw/1", "wait", "raw/2", "sales/1", "sales/2"],
        ),
        # All that hangs on a model waits for it, also what names it in another way.
        (
            MODEL,
            ["train model/all"],
            [
                "daily/1",
                "raw/2",
                "wait",
                *("train model/all", "evaluate scores/candidate", "evaluate scores/baseline"),
                *("gate model/all", "deliver out/1"),
            ],
        ),
        (
            MODEL,
            ["evaluate scores/baseline"],
            [
                *("daily/1", "train model/all", "evaluate scores/candidate", "raw/2", "wait"),
                *("evaluate scores/baseline", "gate model/all", "deliver out/1"),
            ],
        ),
        # Rules that compare with the partitions before need them there, and nothing else does.
        (
            COUNTED,
            ["counted/1"],
            ["raw/1", "raw/2", "wait", "counted/1", "counted/2", "counted/3"],
        ),
        (
            COUNTED,
            ["counted/2", "counted/3"],
            ["counted/1", "raw/1", "raw/2", "wait", "counted/2", "wait", "counted/3"],
        ),
        ([], [], []),
    ],
)
def test_the_order_of_turns(steps: list[Step], held: list[str], order: list[str]) -> None:
    assert drawn(steps, held) == order


def test_what_was_put_off_is_tried_again_before_the_run_waits() -> None:
    tries: list[str] = []
    for turns, at in in_turn(ReadyQueue(FLOW, DAYS, lambda key: pytest.fail(f"waits for {key}"))):
        tries.append(name_of(DAYS[at]))
        if tries == ["raw/1"]:
            turns.postpone(at, "key")
        else:
            turns.finish(at)
    assert tries == ["raw/1", "raw/2", "daily/2", "raw/1", "daily/1", "total/all"]


@st.composite
def plans(draw: st.DrawFn, stages: Collection[str] = ("raw", "daily", "total")) -> list[Step]:
    """Steps that read any of those before them."""
    random = Random(draw(st.integers(0, 2**32)))
    names: list[str] = []
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 25))):
        reads: dict[str, str] = {}
        for name in random.sample(names, min(len(names), random.randrange(4))):
            owner, _, partition = name.partition("/")
            reads[owner] = f"{reads.get(owner, '')} {partition}"
        name = f"{random.choice([*stages])}/{number}"
        names.append(name)
        steps.append(step(name, Action.RUN, **reads))
    return steps


@given(plans(), st.integers(0, 2**32), st.floats(0.1, 1.0))
def test_every_step_is_done_once_after_what_it_reads(
    steps: list[Step], seed: int, share: float
) -> None:
    random = Random(seed)
    held = {name_of(s) for s in steps if random.random() < share}
    done: list[str] = []

    def reads(turn: Step) -> set[str]:
        return {f"{name}/{key}" for name, keys in turn.reads.items() for key in keys}

    def wait(key: str) -> None:
        # Only when everything that is left is another's, or needs what is.
        left = [s for s in steps if name_of(s) not in done]
        assert all(name_of(s) in held or reads(s) - set(done) for s in left)
        if random.random() < 0.5:
            held.discard(key)

    for turns, at in in_turn(ReadyQueue(FLOW, steps, wait)):
        turn = steps[at]
        assert reads(turn) <= set(done)
        if name_of(turn) in held:
            turns.postpone(at, name_of(turn))
            continue
        turns.finish(at)
        done.append(name_of(turn))
        if held and random.random() < 0.5:
            held.discard(random.choice(sorted(held)))
    assert sorted(done) == sorted(map(name_of, steps))


@given(
    plans(("raw", "daily", "counted")),
    st.integers(0, 2**32),
    st.floats(0.0, 0.7),
    st.integers(1, 5),
)
def test_side_by_side_every_step_is_done_once_after_what_it_reads(
    steps: list[Step], seed: int, share: float, most: int
) -> None:
    """Several are at work at once, end in any order, and are published in their line."""
    random = Random(seed)
    held = {name_of(s) for s in steps if random.random() < share}
    done: list[str] = []
    at_work: list[StepIndex] = []

    def wait(key: str) -> None:
        assert not at_work
        held.discard(key)

    def begin(indices: list[StepIndex]) -> None:
        for at in indices:
            needed = {f"{name}/{key}" for name, keys in steps[at].reads.items() for key in keys}
            assert needed <= set(done)
            if name_of(steps[at]) in held:
                turns.postpone(at, name_of(steps[at]))
            else:
                at_work.append(at)

    turns = ReadyQueue(FLOW, steps, wait)
    while True:
        at = turns.take() if len(at_work) < most else None
        if at is not None:
            begin([at])
            # Several are taken before it is known which of them are postponed.
            begin(turns.take_several(steps[at].stage, random.randrange(5)))
        elif at_work:
            ended = random.choice([one for one in at_work if turns.is_first(one)])
            at_work.remove(ended)
            turns.finish(ended)
            done.append(name_of(steps[ended]))
        elif not turns.retry_postponed(wait=True):
            break
    assert sorted(done) == sorted(map(name_of, steps))
    counted = [int(name.partition("/")[2]) for name in done if name.startswith("counted/")]
    assert counted == sorted(counted)


def test_several_of_a_stage_are_taken_unless_they_are_published_in_order() -> None:
    steps = [*(step(f"raw/{n}") for n in range(4)), *(step(f"counted/{n}") for n in range(3))]
    queue = ReadyQueue(FLOW, steps, lambda key: None)
    taken = [
        queue.take_several(name, most)
        for name, most in [("raw", 3), ("counted", 3), ("raw", -1), ("raw", 3), ("counted", 3)]
    ]
    assert taken == [[0, 1, 2], [], [], [3], [4]]


def test_a_withheld_step_holds_back_other_stages_only() -> None:
    """Partitions of `counted` are checked in order; `sales` would read them."""
    steps = [
        step("counted/1"),
        step("total", counted="1"),
        step("counted/2"),
        step("counted/3"),
        step("daily", counted="3"),
    ]
    queue = ReadyQueue(FLOW, steps, lambda key: None)
    taken = []
    while (at := queue.take()) is not None:
        assert queue.is_first(at)
        queue.withhold(at)
        taken.append(at)
    assert [name_of(steps[at]) for at in taken] == ["counted/1", "counted/2", "counted/3"]
    for at in taken:
        queue.finish(at)
    after = [queue.take(), queue.take(), queue.take()]
    assert [at if at is None else name_of(steps[at]) for at in after] == [
        "total/all",
        "daily/all",
        None,
    ]


def test_steps_that_were_blocked_go_on_when_theirs_is_withheld() -> None:
    steps = [step("counted/1"), step("counted/2"), step("total", counted="1"), step("counted/3")]
    queue = ReadyQueue(FLOW, steps, lambda key: None)
    first = queue.take()
    assert first is not None
    queue.postpone(first, "key")
    assert queue.take() is None  # the others wait for it
    assert queue.retry_postponed(wait=False)
    assert queue.take() == first
    queue.withhold(first)
    order = []
    while (at := queue.take()) is not None:
        order.append(name_of(steps[at]))
        queue.withhold(at)
    assert order == ["counted/2", "counted/3"]
    queue.finish(first)
    ready = queue.take()
    assert ready is not None
    assert name_of(steps[ready]) == "total/all"
