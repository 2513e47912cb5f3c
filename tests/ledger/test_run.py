"""Runs: what the ledger keeps has names that never change."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from functools import partial

import pytest

from tidemill.core.errors import GateError
from tidemill.core.partition import WHOLE
from tidemill.drawing.status import DrawnStatus
from tidemill.ledger.run import (
    FAILURES,
    FAULTS,
    Action,
    Attempt,
    Failure,
    Outcome,
    Receipt,
    RunFailed,
    RunInfo,
    StageTotals,
    Status,
    counted_as,
    done_steps,
)
from tidemill.ledger.run_notebook import DRAWN_OUTCOMES


def test_names_that_are_recorded() -> None:
    assert [str(outcome) for outcome in Outcome] == [
        "ok",
        "bound",
        "current",
        "failed",
        "retried",
        "refused",
        "skipped",
        "pruned",
        "gave up",
        "stopped",
    ]
    assert [str(status) for status in Status] == [
        "running",
        "ok",
        "failed",
        "interrupted",
        "lost",
        "waiting",
        "decided",
    ]


def test_what_did_nothing_costs_nothing() -> None:
    attempt = Attempt(stage="a", partition="p", action="run", outcome=Outcome.OK)
    receipt = Receipt(run="r", status=Status.OK)
    for record in (attempt, receipt, StageTotals(stage="a")):
        numbers = [
            getattr(record, f.name)
            for f in fields(record)
            # The first try has the number 1.
            if f.type in ("int", "float") and f.name != "number"
        ]
        assert numbers
        assert not any(numbers)


def test_a_run_that_has_not_ended() -> None:
    info = RunInfo(id="r", environment="prod", status=Status.RUNNING, started=1.0)
    assert (info.ended, info.receipt, dict(info.holder)) == (None, None, {})


FAILURE = partial(Failure, why="ValueError: <no> at a.py:7", advice="correct it")
FAILED = Receipt(
    run="r1",
    status=Status.FAILED,
    stages=(
        StageTotals(stage="sales", ran=1_200, quarantined=3),
        StageTotals(stage="labels", failed=2, skipped=1),
    ),
    wall_s=1.23,
    exit_code=3,
    failures=(FAILURE(stage="labels", partitions=("1", "2")),),
    messages=("labels 1 raised", "labels 2 raised"),
)


def test_what_a_run_did_is_told_in_a_line() -> None:
    stages = (StageTotals(stage="sales", ran=2), StageTotals(stage="labels", bound=1))
    receipt = Receipt(run="r1", status=Status.OK, stages=stages, wall_s=1.25)
    assert receipt.outcome_line == "ok: sales 2 in 1.2 s"
    assert replace(receipt, stages=()).outcome_line == "ok: nothing ran in 1.2 s"


def test_what_waits_for_a_gate_or_for_people_has_not_failed() -> None:
    done = Receipt(run="r1", status=Status.OK)
    failed = Receipt(run="r1", status=Status.FAILED, exit_code=1)
    held = Receipt(run="r1", status=Status.FAILED, exit_code=GateError.exit_code)
    why = Failure(stage="sales", partitions=(WHOLE,), why="no", advice="", messages=("no",))
    assert [each.has_failed for each in (done, failed, held)] == [False, True, False]
    assert replace(held, failures=(why,)).has_failed


def test_a_receipt_is_shown_in_one_line() -> None:
    assert repr(FAILED) == (
        "<Receipt r1 failed: 1,200 ran, 2 failed, 1 skipped, 3 rows quarantined; 1.2 s>"
    )
    assert repr(Receipt(run="r2", status=Status.OK)) == "<Receipt r2 ok: nothing to do; 0.0 s>"


def test_a_run_is_shown_in_one_line_and_with_its_receipt_in_a_notebook() -> None:
    noon = datetime(2026, 11, 27, 12).timestamp()
    info = RunInfo(id="r1", environment="prod", status=Status.FAILED, started=noon, command="x <y>")
    assert repr(info) == "<RunInfo r1 failed in prod, 2026-11-27 12:00:00: x <y>>"
    assert "<p>r1 failed in prod, 2026-11-27 12:00:00: x &lt;y&gt;</p>" in info._repr_html_()
    assert "<td>labels</td>" in replace(info, receipt=FAILED)._repr_html_()
    assert "<td>labels</td>" in FAILED._repr_html_()


def test_the_error_of_a_failed_run_has_its_receipt_and_names_causes() -> None:
    error = RunFailed(FAILED)
    assert (error.receipt, error.exit_code) == (FAILED, 3)
    assert str(error) == (
        "run r1 failed; see its receipt, or `tidemill runs r1`\n"
        "  labels 1 .. 2 (2): ValueError: <no> at a.py:7"
    )
    many = tuple(FAILURE(stage=f"s{n}", partitions=(WHOLE,)) for n in range(5))
    assert str(RunFailed(replace(FAILED, failures=many))).split("\n")[1:] == [
        *(f"  s{n}: ValueError: <no> at a.py:7" for n in range(3)),
        "  and 2 more",
    ]
    assert str(RunFailed(replace(FAILED, failures=()))).endswith(
        "\n  labels 1 raised\n  labels 2 raised"
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_counts_and_is_drawn(outcome: Outcome) -> None:
    figures = {each.name for each in fields(StageTotals)}
    attempt = Attempt(stage="a", partition="p", action="run", outcome=outcome)
    assert counted_as(attempt) in figures
    bad = DRAWN_OUTCOMES[outcome] in (DrawnStatus.FAILED, DrawnStatus.STALE)
    assert bad == (outcome in FAULTS or outcome is Outcome.GAVE_UP)
    assert FAILURES < FAULTS


def test_steps_that_ended_well() -> None:
    def attempt(action: Action, outcome: Outcome, partition: str = "p") -> Attempt:
        return Attempt(stage="a", partition=partition, action=action, outcome=outcome)

    assert counted_as(attempt(Action.RECHECK, Outcome.OK)) == "rechecked"
    assert counted_as(attempt(Action.RECHECK, Outcome.FAILED)) == "failed"
    assert counted_as(attempt(Action.TRIAL, Outcome.STOPPED)) == ""
    found = [
        attempt(Action.TRAIN, Outcome.RETRIED),
        attempt(Action.TRAIN, Outcome.OK),
        attempt(Action.TRIAL, Outcome.OK),
        # A model is trained and judged: two steps.
        attempt(Action.GATE, Outcome.BOUND),
        attempt(Action.RUN, Outcome.FAILED, "q"),
        attempt(Action.RUN, Outcome.SKIPPED, "r"),
    ]
    assert done_steps(found) == {("train", "a", "p"), ("gate", "a", "p")}
