"""The order of the lines in the log of a run, with the ends of tries."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.history.attempt_log import add_outcomes, failed_lines, is_failure
from tidemill.ledger.log_line import END, LogLine
from tidemill.ledger.review_command import review_command
from tidemill.ledger.run import Attempt, Outcome


def line(at: float, text: str, stage: str = "a", attempt: int = 1) -> LogLine:
    return LogLine(at=at, stage=stage, partition="p", attempt=attempt, stream="stdout", text=text)


def attempt(stage: str = "a", outcome: Outcome = Outcome.OK, **more: object) -> Attempt:
    fields = {"partition": "p", "action": "run", "wall_s": 1.0, **more}
    return Attempt(stage=stage, outcome=outcome, **fields)  # type: ignore[arg-type]


def told(lines: list[LogLine]) -> list[tuple[float, str, str]]:
    return [(x.at, x.level or x.stream, x.text) for x in lines]


def test_an_end_stands_where_the_try_ended_not_where_that_was_recorded() -> None:
    lines = [line(1.0, "one"), line(1.2, "two", "b")]
    ended = [(9.0, attempt(rows_out=1234, wall_s=0.15)), (9.0, attempt("b", wall_s=20.0))]
    assert told(add_outcomes(lines, ended)) == [
        (1.0, "stdout", "one"),
        (1.15, "ok", "0.15 s, 1,234 rows"),
        (1.2, "stdout", "two"),
        (9.0, "ok", "20.00 s, 0 rows"),
    ]


def test_never_before_its_own_last_line_nor_after_the_next_try_began() -> None:
    lines = [line(1.0, "first"), line(3.0, "last"), line(3.5, "again", attempt=2)]
    failed = attempt(outcome=Outcome.RETRIED, message="no answer", wall_s=0.5)
    silent = attempt("b", Outcome.RETRIED, message="no answer")
    lines.append(line(2.0, "b again", "b", 2))
    assert told(add_outcomes(lines, [(9.0, failed), (9.0, silent)])) == [
        (1.0, "stdout", "first"),
        (3.0, "stdout", "last"),
        (3.0, "retried", "no answer"),
        (3.5, "stdout", "again"),
        (2.0, "retried", "no answer"),
        (2.0, "stdout", "b again"),
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_of_tries_that_said_nothing_those_that_came_to_nothing(outcome: Outcome) -> None:
    well = outcome in (Outcome.OK, Outcome.BOUND)
    assert len(add_outcomes([], [(1.0, attempt(outcome=outcome))])) == (not well)
    assert len(add_outcomes([line(0.0, "x")], [(1.0, attempt(outcome=outcome))])) == 2


def test_what_said_something_before_is_known() -> None:
    [end] = add_outcomes([], [(5.0, attempt())], {("a", "p", 1)})
    assert (end.at, end.stream, end.attempt_key) == (5.0, END, ("a", "p", 1))


def test_why_it_failed_and_where() -> None:
    failed = attempt(outcome=Outcome.FAILED, message="a p raised E: x", trace="File ...\nE: x\n")
    [end] = add_outcomes([], [(5.0, failed)])
    assert end.text == "a p raised E: x\nFile ...\nE: x"


def test_what_a_gate_said_comes_with_its_end() -> None:
    [*_, end] = add_outcomes([line(0.0, "x")], [(5.0, attempt(message="approved"))])
    assert end.text == "approved\n1.00 s, 0 rows"


def test_a_step_ends_before_the_next_one_begins_however_late_that_was_recorded() -> None:
    lines = [line(1.0, "one"), line(1.5, "two", "b"), line(1.7, "three", "b")]
    for recorded in (1.0, 1.6, 9.0):
        ended = [(recorded, attempt(wall_s=5.0)), (recorded, attempt("b", wall_s=5.0))]
        assert [(x.stage, x.stream) for x in add_outcomes(lines, ended)] == [
            ("a", "stdout"),
            ("a", END),
            ("b", "stdout"),
            ("b", "stdout"),
            ("b", END),
        ]


def test_steps_at_work_together_are_not_mixed() -> None:
    lines = [line(1.0, "one", "b"), line(1.1, "one", "a"), line(1.2, "two", "b")]
    ended = [(2.0, attempt("a")), (2.0, attempt("b"))]
    assert [x.stage for x in add_outcomes(lines, ended)] == ["b", "b", "b", "a", "a"]


def test_a_line_of_an_unknown_step_stands_alone_by_its_time() -> None:
    unknown = [
        replace(line(at, "of a thread", stage), partition="") for at, stage in ((2, ""), (4, "b"))
    ]
    lines = [line(1.0, "one"), unknown[0], line(2.5, "two"), line(3.0, "one", "b"), unknown[1]]
    found = add_outcomes(lines, [(9.0, attempt()), (9.0, attempt("b"))])
    assert [(x.at, x.stream) for x in found if x.stream != END] == [
        (1.0, "stdout"),
        (2.5, "stdout"),
        (2, "stdout"),
        (3.0, "stdout"),
        (4, "stdout"),
    ]
    assert found[2].stream == found[5].stream == END


TIMES = st.floats(0, 100)
STEPS = st.sampled_from("abc")
# The time and wall seconds with which the ledger recorded each of the tries.
RECORDED = st.lists(st.tuples(TIMES, TIMES), min_size=9, max_size=9)


@given(st.lists(st.tuples(TIMES, STEPS, st.integers(1, 3))), RECORDED, RECORDED)
def test_a_step_by_its_tries_and_a_try_by_its_lines_whenever_its_end_was_recorded(
    said: list[tuple[float, str, int]],
    recorded: list[tuple[float, float]],
    later: list[tuple[float, float]],
) -> None:
    # Whatever the clocks say of the tries, one begins when the one before it has ended.
    said.sort(key=lambda one: one[0])
    numbers = {step: iter(sorted(n for _, x, n in said if x == step)) for step in "abc"}
    lines = [line(at, str(n), step, next(numbers[step])) for n, (at, step, _) in enumerate(said)]

    def shown(times: list[tuple[float, float]]) -> list[LogLine]:
        tries = [(step, number) for step in "abc" for number in (1, 2, 3)]
        spoke = {found.attempt_key for found in lines}
        return add_outcomes(
            lines,
            [
                (at, attempt(step, number=number, wall_s=wall))
                for (step, number), (at, wall) in zip(tries, times, strict=True)
                if (step, "p", number) in spoke
            ],
        )

    found = shown(recorded)
    by_step = [
        x for step in dict.fromkeys(line.stage for line in lines) for x in lines if x.stage == step
    ]
    assert [x for x in found if x.stream != END] == by_step
    # Each try that said something ends once, right after its last line.
    for one, following in pairwise([*found, None]):
        assert one is not None
        last = following is None or one.attempt_key != following.attempt_key
        assert (one.stream == END) == last
    assert [(x.attempt_key, x.text) for x in shown(later) if x.stream != END] == [
        (x.attempt_key, x.text) for x in found if x.stream != END
    ]
    assert [(x.attempt_key, x.stream) for x in shown(later)] == [
        (x.attempt_key, x.stream) for x in found
    ]


@given(st.lists(st.tuples(TIMES, st.integers(1, 3))), st.lists(st.tuples(TIMES, TIMES), max_size=3))
def test_all_is_there_in_order_and_each_try_ends_after_what_it_said(
    said: list[tuple[float, int]], ended: list[tuple[float, float]]
) -> None:
    # Whatever the clocks say of the tries, one begins when the one before it has ended.
    said.sort(key=lambda one: one[0])
    numbers = sorted(number for _, number in said)
    lines = [
        line(at, str(n), attempt=number)
        for n, ((at, _), number) in enumerate(zip(said, numbers, strict=True))
    ]
    tries = [
        (at, attempt(outcome=Outcome.FAILED, number=number, wall_s=wall))
        for number, (at, wall) in enumerate(ended, 1)
    ]
    found = add_outcomes(lines, tries)
    assert [x for x in found if x.stream != END] == lines
    assert len(found) == len(lines) + len(tries)
    assert [x.attempt for x in found] == sorted(x.attempt for x in found)
    for end in (x for x in found if x.stream == END):
        later = found[found.index(end) + 1 :]
        assert not [x for x in later if x.attempt_key == end.attempt_key]
        own = [x.at for x in found if x.attempt_key == end.attempt_key]
        assert [x.at for x in lines if x.attempt_key == end.attempt_key] == sorted(own)[
            : len(own) - 1
        ]
        following = [x.at for x in lines if x.attempt == end.attempt + 1]
        assert not following or end.at <= following[0]


def test_the_lines_of_attempts_that_failed_are_told_from_the_others() -> None:
    lines = [line(1.0, "before it broke"), line(2.0, "fine", "b")]
    failed = attempt(outcome=Outcome.FAILED, message="no column")
    asked = attempt("c", Outcome.REFUSED, message=f"waits\n{review_command('r1')}")
    refused = attempt("d", Outcome.REFUSED, message="FAILED own: no")
    found = add_outcomes(lines, [(9.0, each) for each in (failed, attempt("b"), asked, refused)])
    assert [each.stage for each in found if is_failure(each)] == ["a", "d"]
    assert [each.text for each in failed_lines(found)] == [
        "before it broke",
        "no column",
        "FAILED own: no",
    ]
