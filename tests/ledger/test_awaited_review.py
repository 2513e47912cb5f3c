"""What waits for a review names it, and isn't called failed."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.awaited_review import shown_run
from tidemill.ledger.review_command import review_command
from tidemill.ledger.run import (
    Attempt,
    Failure,
    Outcome,
    Receipt,
    RunFailed,
    RunInfo,
    StageTotals,
    Status,
)

ASKED = Failure(
    stage="model", partitions=("*",), why="waits for review r1", advice=review_command("r1")
)
BROKEN = Failure(stage="features", partitions=(), why="no", advice="", messages=("no column",))


def run(*failures: Failure) -> RunInfo:
    stages = (StageTotals(stage="model", ran=2, failed=1),)
    receipt = Receipt(run="r", status=Status.FAILED, failures=failures, stages=stages)
    return RunInfo(id="r", environment="prod", status=Status.FAILED, started=0.0, receipt=receipt)


def test_an_attempt_names_the_review_that_it_waits_for() -> None:
    attempt = Attempt(
        stage="model",
        partition="*",
        action="gate",
        outcome=Outcome.REFUSED,
        message=f"model waits for review r1\n{review_command('r1')}\nmodel passed",
    )
    assert attempt.review == "r1"
    failed = Attempt(
        stage="model",
        partition="*",
        action="gate",
        outcome=Outcome.FAILED,
        message=review_command("r1"),
    )
    assert failed.review == ""


def test_a_failure_names_the_review_that_it_waits_for() -> None:
    assert ASKED.review == "r1"
    assert BROKEN.review == ""
    raised = Failure(
        stage="model", partitions=(), why="", advice=review_command("r1"), messages=("so",)
    )
    assert raised.review == ""


def test_a_run_waits_only_if_nothing_else_failed() -> None:
    unended = RunInfo(id="r", environment="prod", status=Status.RUNNING, started=0.0)
    receipt = run(ASKED).receipt
    assert receipt is not None
    ended = replace(receipt, status=Status.INTERRUPTED)
    interrupted = replace(run(ASKED), status=Status.INTERRUPTED, receipt=ended)
    for other in (run(ASKED, BROKEN), run(BROKEN), run(), unended, interrupted):
        assert shown_run(other, ["r1"]) is other
    for open_reviews, status, why in (
        (["r1"], Status.WAITING, "waits for review r1"),
        (["r2"], Status.DECIDED, "waited for review r1"),
    ):
        shown = shown_run(run(ASKED), open_reviews)
        assert shown.receipt is not None
        assert shown.status is shown.receipt.status is shown.receipt.word is status
        assert shown.receipt.failures[0].why == why
        assert f"r {status} in prod" in shown.headline


def test_a_receipt_says_that_the_run_waits() -> None:
    receipt = run(ASKED).receipt
    assert receipt is not None
    assert receipt.status is Status.FAILED
    assert receipt.headline == "r waiting: 2 ran, 1 asked people; 0.0 s"
    assert receipt.outcome_line == "waiting: model 2 in 0.0 s"
    assert str(RunFailed(receipt)).startswith("run r waiting;")
    mixed = run(ASKED, BROKEN).receipt
    assert mixed is not None
    assert mixed.word is Status.FAILED
    assert mixed.asked == {"model": 1, "features": 0}
