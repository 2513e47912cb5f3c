"""Where the end of a try stands among the lines of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.history.attempt_log import with_ends
from tidemill.ledger.log_line import END, Line
from tidemill.ledger.run import Attempt, Outcome


def line(at: float, text: str, stage: str = "a", attempt: int = 1) -> Line:
    return Line(at=at, stage=stage, partition="p", attempt=attempt, stream="stdout", text=text)


def attempt(stage: str = "a", outcome: Outcome = Outcome.OK, **more: object) -> Attempt:
    fields = {"partition": "p", "action": "run", "wall_s": 1.0, **more}
    return Attempt(stage=stage, outcome=outcome, **fields)  # type: ignore[arg-type]


def told(lines: list[Line]) -> list[tuple[float, str, str]]:
    return [(x.at, x.level or x.stream, x.text) for x in lines]


def test_an_end_stands_where_the_try_ended_not_where_that_was_recorded() -> None:
    lines = [line(1.0, "one"), line(1.2, "two", "b")]
    ended = [(9.0, attempt(rows_out=1234, wall_s=0.15)), (9.0, attempt("b", wall_s=20.0))]
    assert told(with_ends(lines, ended)) == [
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
    assert told(with_ends(lines, [(9.0, failed), (9.0, silent)])) == [
        (1.0, "stdout", "first"),
        (2.0, "stdout", "b again"),
        (2.0, "retried", "no answer"),
        (3.0, "stdout", "last"),
        (3.0, "retried", "no answer"),
        (3.5, "stdout", "again"),
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_of_tries_that_said_nothing_those_that_came_to_nothing(outcome: Outcome) -> None:
    well = outcome in (Outcome.OK, Outcome.BOUND)
    assert len(with_ends([], [(1.0, attempt(outcome=outcome))])) == (not well)
    assert len(with_ends([line(0.0, "x")], [(1.0, attempt(outcome=outcome))])) == 2


def test_what_said_something_before_is_known() -> None:
    [end] = with_ends([], [(5.0, attempt())], {("a", "p", 1)})
    assert (end.at, end.stream, end.of) == (5.0, END, ("a", "p", 1))


def test_why_it_failed_and_where() -> None:
    failed = attempt(outcome=Outcome.FAILED, message="a p raised E: x", trace="File ...\nE: x\n")
    [end] = with_ends([], [(5.0, failed)])
    assert end.text == "a p raised E: x\nFile ...\nE: x"


def test_what_a_gate_said_comes_with_its_end() -> None:
    [*_, end] = with_ends([line(0.0, "x")], [(5.0, attempt(message="approved"))])
    assert end.text == "approved\n1.00 s, 0 rows"


TIMES = st.floats(0, 100)


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
    found = with_ends(lines, tries)
    assert [x for x in found if x.stream != END] == lines
    assert [x.at for x in found] == sorted(x.at for x in found)
    for end in (x for x in found if x.stream == END):
        later = found[found.index(end) + 1 :]
        same = [x for x in later if x.of == end.of and x.stream != END and x.at > end.at]
        assert not same
