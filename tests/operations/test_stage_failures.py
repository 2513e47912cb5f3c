"""Which partitions fail, and since when."""

from __future__ import annotations

from typing import Any

from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.operations.stage_failures import (
    StageFailure,
    add_attempt,
    end_run,
    repair_partition,
)


def attempt(partition: str, outcome: Outcome = Outcome.FAILED, **more: Any) -> Attempt:
    return Attempt(stage="a", partition=partition, action="run", outcome=outcome, **more)


def test_a_stage_fails_since_the_first_of_the_partitions_that_fail_now() -> None:
    failing: dict[str, StageFailure] = {}
    add_attempt(failing, "r1", attempt("p", fate="oom", message="x" * 1000), 10)
    add_attempt(
        failing, "r2", attempt("q", findings=(Finding(rule="r", severity="fail", rows=1),)), 20
    )
    add_attempt(failing, "r3", attempt("p", fate="error", message="m"), 30)
    own = failing["a"]
    assert (own.since, own.last, own.run, own.fate, own.message) == (10, 30, "r3", "error", "m")
    assert not own.is_contract
    add_attempt(failing, "r4", attempt("p", Outcome.OK), 40)
    assert failing["a"].since == 20
    repair_partition(failing, "a", "q")
    assert failing == {}


def test_what_was_retried_refused_or_skipped_is_no_failure() -> None:
    failing: dict[str, StageFailure] = {}
    for outcome in (Outcome.RETRIED, Outcome.REFUSED, Outcome.SKIPPED, Outcome.PRUNED):
        add_attempt(failing, "r", attempt("p", outcome), 1)
    assert failing == {}


def test_a_reused_result_repairs() -> None:
    failing: dict[str, StageFailure] = {}
    add_attempt(failing, "r", attempt("p"), 1)
    repair_partition(failing, "a", "other")
    assert "a" in failing
    add_attempt(failing, "r", attempt("p", Outcome.BOUND), 2)
    assert failing == {}


def test_a_source_that_can_be_read_again_doesnt_fail() -> None:
    failing: dict[str, StageFailure] = {}
    for partition in (WHOLE, "p"):
        add_attempt(failing, "r", attempt(partition), 1)
    for left in (StageTotals(stage="a", failed=1), StageTotals(stage="a", skipped=2)):
        stages = (left,)
        end_run(failing, Receipt(run="r", status=Status.FAILED, stages=stages))
    end_run(failing, None)
    assert [*failing["a"].partitions] == [WHOLE, "p"]
    sound = (StageTotals(stage="a", current=3), StageTotals(stage="b"))
    end_run(failing, Receipt(run="s", status=Status.OK, stages=sound))
    assert [*failing["a"].partitions] == ["p"]
