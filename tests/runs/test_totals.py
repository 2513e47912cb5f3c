"""Totals of a run by stage."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.run import Action, Attempt, Outcome, StageTotals
from tidemill.planning.plan import Plan, Step
from tidemill.runs.totals import memo_usage, sum_stages
from tidemill.workflow.memo import MemoUsage


def attempt(stage: str, outcome: Outcome, **rest: Any) -> Attempt:
    """One try at a step."""
    return Attempt(stage=stage, partition="p", action="run", outcome=outcome, **rest)


def plan(current: dict[str, int], **steps: int) -> Plan:
    """A plan of so many steps a stage."""
    made = tuple(
        Step(stage=name, partition=str(n), action=Action.RUN, reasons=("new",))
        for name, count in steps.items()
        for n in range(count)
    )
    return Plan(workflow="w", environment="prod", heads={}, recipes={}, steps=made, current=current)


def test_sums_by_stage_in_the_order_of_the_workflow() -> None:
    cost: dict[str, Any] = {
        "rows_in": 1, "rows_out": 2, "bytes_in": 3, "bytes_out": 4, "quarantined": 5,
        "wall_s": 6.0, "cpu_s": 7.0,
    }  # fmt: skip
    attempts = [
        attempt("a", Outcome.OK, **cost),
        attempt("a", Outcome.BOUND, **cost),
        attempt("a", Outcome.CURRENT),
        attempt("b", Outcome.FAILED),
        attempt("b", Outcome.REFUSED),
        attempt("b", Outcome.SKIPPED),
    ]  # fmt: skip
    assert sum_stages(["b", "a", "c"], attempts, {"a": 5, "c": 9}) == (
        StageTotals(stage="b", failed=2, skipped=1),
        # One of the four steps turned out current, beside the five that were known to be; one was
        # never tried, and counts as nothing.
        StageTotals(
            stage="a", ran=1, bound=1, current=6, rows_in=2, rows_out=4, bytes_in=6, bytes_out=8,
            quarantined=10, wall_s=12.0, cpu_s=14.0,
        ),
        StageTotals(stage="c", current=9),
    )  # fmt: skip


def test_what_memos_took_is_that_of_all_attempts() -> None:
    attempts = [
        attempt("a", Outcome.RETRIED, memo=MemoUsage(asked=2, spent=1.0)),
        attempt("a", Outcome.OK, memo=MemoUsage(known=2, asked=1, spent=0.5, saved=1.0)),
        attempt("a", Outcome.OK),
        attempt("b", Outcome.FAILED, memo=MemoUsage(asked=1, spent=0.25)),
    ]
    stages = sum_stages(["a", "b", "c"], attempts, {})
    assert [stage.memo for stage in stages] == [
        MemoUsage(known=2, asked=3, spent=1.5, saved=1.0),
        MemoUsage(asked=1, spent=0.25),
        None,
    ]
    assert memo_usage(attempts) == MemoUsage(known=2, asked=4, spent=1.75, saved=1.0)
    assert memo_usage(attempts[2:3]) is None


def test_a_stage_that_was_never_planned_is_empty() -> None:
    assert sum_stages(["a"], [], {}) == (StageTotals(stage="a"),)
