"""The progress of a run: counts add up, and the time left follows from past runs."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.plan import Plan, Step
from tidemill.runs.progress import ProgressTracker, RunProgress

PLAN = partial(Plan, workflow="w", environment="prod", heads={}, recipes={})


def step(stage: str, partition: str = WHOLE, wall_s: float | None = 1.0, **more: object) -> Step:
    action = Action(str(more.pop("action", "run")))
    reads = {name: (partition,) for name in more.pop("reads", ())}  # type: ignore[attr-defined]
    return Step(
        stage=stage, partition=partition, action=action, reasons=(), reads=reads, wall_s=wall_s,
        unlikely=bool(more.get("unlikely")),
    )  # fmt: skip


def attempt(of: Step, outcome: Outcome = Outcome.OK, wall_s: float = 1.0, rows: int = 0) -> Attempt:
    return Attempt(
        stage=of.stage,
        partition=of.partition,
        action=of.action,
        outcome=outcome,
        wall_s=wall_s,
        rows_in=rows,
    )


def days(stage: str, count: int, wall_s: float | None = 1.0, **more: object) -> list[Step]:
    return [step(stage, f"2026-01-{day + 1:02}", wall_s, **more) for day in range(count)]


def begun(steps: list[Step], slots: int = 1) -> ProgressTracker:
    standing = ProgressTracker(slots)
    standing.begin(PLAN(steps=tuple(steps)), 100.0)
    return standing


def one_by_one(steps: list[Step], count: int, each_s: float) -> tuple[ProgressTracker, float]:
    """A run that did the first steps, each in so many seconds."""
    standing, now = begun(steps), 100.0
    for one in steps[:count]:
        standing.start_step(one, now)
        now += each_s
        standing.end_step(one, attempt(one, wall_s=each_s), now)
    return standing, now


def left(seen: RunProgress) -> float:
    assert seen.left_s is not None
    return seen.left_s


def test_before_anything_is_done_past_runs_say_how_long_it_takes() -> None:
    seen = begun(days("a", 10)).snapshot(100.0)
    assert (seen.completed, seen.total, seen.is_partial) == (0, 10, False)
    assert left(seen) == pytest.approx(10)


def test_without_history_nobody_knows() -> None:
    seen = begun(days("a", 10, None)).snapshot(100.0)
    assert (seen.left_s, seen.is_partial) == (None, True)


def test_without_history_what_was_done_tells() -> None:
    standing, now = one_by_one(days("a", 10, None), 5, 2.0)
    assert left(standing.snapshot(now)) == pytest.approx(10, rel=0.01)


def test_a_stage_that_nobody_knows_is_more() -> None:
    standing, now = one_by_one([*days("a", 10), *days("b", 3, None)], 5, 1.0)
    seen = standing.snapshot(now)
    assert seen.is_partial
    assert left(seen) == pytest.approx(5, rel=0.1)


def test_steps_that_are_slower_than_they_were_are_expected_to_stay_so() -> None:
    standing, now = one_by_one(days("a", 40), 20, 3.0)
    assert left(standing.snapshot(now)) == pytest.approx(60, rel=0.1)


def test_side_by_side_it_takes_less() -> None:
    steps, slots = days("a", 28), 4
    standing = begun(steps, slots)
    for one in steps:
        standing.start_step(one, 100.0)
    for number, one in enumerate(steps[:20]):
        standing.end_step(one, attempt(one), 101.0 + number // slots)
    assert left(standing.snapshot(105.0)) == pytest.approx(2, rel=0.2)


def test_no_chain_of_steps_is_cut_short_by_workers() -> None:
    """Four at once don't make the training at the end any quicker."""
    steps = [*days("a", 28), step("model", wall_s=60.0, action="train", reads=["a"])]
    standing = begun(steps, 4)
    for one in steps[:28]:
        standing.start_step(one, 100.0)
    for number, one in enumerate(steps[:28]):
        standing.end_step(one, attempt(one), 101.0 + number // 4)
    assert left(standing.snapshot(107.0)) == pytest.approx(60)
    standing.start_step(steps[-1], 107.0)
    assert left(standing.snapshot(147.0)) == pytest.approx(20, rel=0.1)


def test_a_step_that_should_be_done_by_now_takes_longer_still() -> None:
    steps = [step("model", wall_s=10.0)]
    standing = begun(steps)
    standing.start_step(steps[0], 100.0)
    seen = standing.snapshot(200.0)
    assert left(seen) == pytest.approx(10)
    assert 0.8 < seen.stages[0].part < 1


def test_unlikely_steps_count_when_they_turn_out_to_run() -> None:
    sure, unlikely = step("a"), step("b", wall_s=20.0, reads=["a"], unlikely=True)
    standing = begun([sure, unlikely])
    assert left(standing.snapshot(100.0)) == pytest.approx(1)
    standing.start_step(sure, 100.0)
    standing.end_step(sure, attempt(sure), 101.0)
    assert standing.snapshot(101.0).left_s is None
    standing.start_step(unlikely, 101.0)
    assert standing.snapshot(106.0).stages[1].part == pytest.approx(5 / 20)
    standing.end_step(unlikely, None, 106.0)
    assert standing.snapshot(106.0).stages[1].outcomes == {Outcome.CURRENT: 1}


def test_as_many_as_there_are_slots_are_at_work_and_the_next_begins_when_one_ends() -> None:
    steps = days("a", 4)
    standing = begun(steps, 2)
    for one in steps:
        standing.start_step(one, 100.0)
    assert [d.step for d in standing.snapshot(103.0).running] == steps[:2]
    standing.end_step(steps[0], attempt(steps[0], wall_s=3.0), 103.0)
    assert [(d.step, d.running_s) for d in standing.snapshot(105.0).running] == [
        (steps[1], 5.0),
        (steps[2], 2.0),
    ]
    standing.end_step(steps[3], None, 105.0)  # it waited, and is current
    assert standing.snapshot(105.0).completed == 2


def test_a_step_that_was_put_off_and_is_taken_again_counts_once() -> None:
    steps = days("a", 2)
    standing = begun(steps)
    for now in (100.0, 101.0, 103.0):
        standing.start_step(steps[0], now)
    assert [d.running_s for d in standing.snapshot(104.0).running] == [1.0]
    standing.end_step(steps[0], None, 104.0)
    assert (standing.snapshot(104.0).running, standing.snapshot(104.0).completed) == ((), 1)


def test_a_step_that_is_tried_again_isnt_done() -> None:
    steps = days("a", 2)
    standing = begun(steps)
    for outcome in (Outcome.RETRIED, Outcome.RETRIED, Outcome.OK):
        standing.start_step(steps[0], 100.0)
        standing.end_step(steps[0], attempt(steps[0], outcome), 101.0)
    [stage] = standing.snapshot(101.0).stages
    assert (stage.completed, stage.total, stage.failed) == (1, 2, 0)
    assert stage.outcomes == {Outcome.RETRIED: 2, Outcome.OK: 1}


def test_rows_a_second_are_those_while_the_stage_was_at_work() -> None:
    steps = days("a", 3)
    standing, now = begun(steps), 100.0
    for one in steps[:2]:
        standing.start_step(one, now)
        standing.end_step(one, attempt(one, rows=1000), now + 2)
        now += 50
    assert standing.snapshot(now).stages[0].rate == pytest.approx(500)
    standing.start_step(steps[2], now)
    assert standing.snapshot(now + 4).stages[0].rate == pytest.approx(250)


def test_steps_that_took_no_time_are_no_reason_to_stop() -> None:
    standing, now = one_by_one(days("a", 3, 0.0), 2, 0.0)
    assert left(standing.snapshot(now)) >= 0
    assert standing.snapshot(now).stages[0].rate == 0


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Step], list[tuple[int, Outcome | None]], int, float]:
    """Steps, what became of them in which order, how many at once, and how long each of it took."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    walls = st.one_of(st.none(), st.floats(0, 100))
    steps = [
        step(name, f"{number}", draw(walls), unlikely=draw(st.booleans()))
        for number, name in enumerate(sorted(names))
    ]
    order = draw(st.permutations(range(len(steps))))
    fates = [(at, draw(st.one_of(st.none(), st.sampled_from(list(Outcome))))) for at in order]
    return steps, fates, draw(st.integers(1, 4)), draw(st.floats(0, 10))


@given(stories())
def test_whatever_happens_it_adds_up(
    story: tuple[list[Step], list[tuple[int, Outcome | None]], int, float],
) -> None:
    steps, fates, slots, each_s = story
    standing, now, ended = begun(steps, slots), 100.0, 0
    for one in steps:
        standing.start_step(one, now)
    for at, outcome in fates:
        now += each_s
        of = steps[at]
        standing.end_step(of, attempt(of, outcome, each_s) if outcome else None, now)
        if outcome is Outcome.RETRIED:
            standing.start_step(of, now)
        else:
            ended += 1
        seen = standing.snapshot(now)
        assert (seen.completed, seen.total) == (ended, len(steps))
        assert len(seen.running) == min(slots, len(steps) - ended)
        assert all(stage.completed <= stage.total for stage in seen.stages)
        assert all(0 <= stage.part <= 1 for stage in seen.stages)
        assert all(stage.part == 1 for stage in seen.stages if stage.completed == stage.total)
        assert seen.left_s is None or seen.left_s >= 0
        assert seen.failed == sum(
            o in (Outcome.FAILED, Outcome.REFUSED)
            for _, o in fates[: fates.index((at, outcome)) + 1]
        )
