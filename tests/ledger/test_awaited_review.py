"""What waits for a review names it, and isn't called failed."""

from __future__ import annotations

from tidemill.ledger.awaited_review import (
    awaited_by_attempt,
    awaited_by_failure,
    review_command,
    run_words,
)
from tidemill.ledger.run import Attempt, Failure, Outcome, Receipt, RunInfo, Status

ASKED = Failure(stage="model", partitions=(), why="waits", advice=review_command("r1"))
BROKEN = Failure(stage="features", partitions=(), why="no", advice="", messages=("no column",))


def run(id: str, *failures: Failure) -> RunInfo:
    receipt = Receipt(run=id, status=Status.FAILED, failures=failures)
    return RunInfo(id=id, environment="prod", status=Status.FAILED, started=0.0, receipt=receipt)


def test_an_attempt_names_the_review_that_it_waits_for() -> None:
    attempt = Attempt(
        stage="model",
        partition="*",
        action="gate",
        outcome=Outcome.REFUSED,
        message=f"model waits for review r1\n{review_command('r1')}\nmodel passed",
    )
    assert awaited_by_attempt(attempt) == "r1"
    failed = Attempt(
        stage="model",
        partition="*",
        action="gate",
        outcome=Outcome.FAILED,
        message=review_command("r1"),
    )
    assert awaited_by_attempt(failed) == ""


def test_a_failure_names_the_review_that_it_waits_for() -> None:
    assert awaited_by_failure(ASKED) == "r1"
    assert awaited_by_failure(BROKEN) == ""
    raised = Failure(
        stage="model", partitions=(), why="", advice=review_command("r1"), messages=("so",)
    )
    assert awaited_by_failure(raised) == ""


def test_a_run_waits_only_if_nothing_else_failed() -> None:
    unended = RunInfo(id="r5", environment="prod", status=Status.RUNNING, started=0.0)
    runs = [run("r4", ASKED), run("r3", ASKED, BROKEN), run("r2", BROKEN), run("r1"), unended]
    assert run_words(runs, ["r1"]) == {"r4": "waiting"}
    assert run_words(runs, ["r2"]) == {"r4": "decided"}
