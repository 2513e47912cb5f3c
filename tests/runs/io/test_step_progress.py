"""Attempts at steps: costs add up, failures name their step, and retries follow the policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action, Outcome
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate
from tidemill.runs.io.step_progress import (
    StepInProgress,
    failed_attempt,
    new_attempt,
    result_of_failure,
)
from tidemill.steps.step_messages import StepCost, StepFailure, Work
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.stage import Kind, Stage

DAILY = Stage(
    name="daily", kind=Kind.TRANSFORM, function=None, inputs=(), output=None, place="flow.py:1"
)


def begun(partition: str = "1") -> StepInProgress:
    step = Step(stage="daily", partition=partition, action=Action.RUN, reasons=("new",))
    work = Work(stage="daily", partition=partition, recipe="r")
    return StepInProgress(step=step, attempt=new_attempt(step), work=work)


def test_seconds_add_up_and_the_last_worker_is_kept() -> None:
    step = begun()
    step.add_cost(StepCost(wall_s=1.0, cpu_s=0.5, queued_s=3.0, peak_rss=7, worker="9"))
    step.add_cost(StepCost(wall_s=0.25, cpu_s=0.125))
    found = step.cost
    assert (found.wall_s, found.cpu_s) == (1.25, 0.625)
    assert (found.queued_s, found.peak_rss, found.worker) == (3.0, 7, "9")


def test_the_next_attempt_starts_without_cost() -> None:
    step = begun()
    step.add_cost(StepCost(wall_s=1.0))
    step.deaths = 1
    again = step.next_attempt()
    assert again.work is not None
    assert (again.attempt.number, again.work.attempt, again.cost.wall_s) == (2, 2, 0.0)
    assert again.deaths == 1


@pytest.mark.parametrize(
    ("partition", "message", "text"),
    [
        ("1", "no disk", "daily 1: no disk"),
        (WHOLE, "no disk", "daily: no disk"),
        # A message that names its step isn't prefixed.
        ("1", "daily 1 raised ValueError", "daily 1 raised ValueError"),
    ],
)
def test_a_failure_names_its_step(partition: str, message: str, text: str) -> None:
    attempt = failed_attempt(begun(partition).attempt, StepFailure(message=message))
    assert (attempt.message, attempt.outcome, attempt.exit_code) == (text, Outcome.FAILED, 1)


def test_a_failed_gate_is_a_refusal() -> None:
    attempt = failed_attempt(begun().attempt, StepFailure(message="no", exit_code=4))
    assert attempt.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("times", "transient", "fate", "outcomes"),
    [
        (0, False, "error", [Outcome.FAILED]),
        (0, True, "error", [Outcome.FAILED]),
        (2, True, "error", [Outcome.RETRIED, Outcome.RETRIED, Outcome.FAILED]),
        (2, False, "error", [Outcome.FAILED]),
        # A process that died is retried once, whatever is declared.
        (0, False, Fate.LOST, [Outcome.RETRIED, Outcome.FAILED]),
    ],
)
def test_failures_are_retried_by_the_policy(
    times: int, transient: bool, fate: str, outcomes: list[Outcome]
) -> None:
    stage = replace(DAILY, retries=Retries(times=times))
    step, found = begun(), []
    while True:
        failure = StepFailure(message="gone", transient=transient, fate=fate)
        result = result_of_failure(stage, step, failure)
        assert result.attempt is not None
        found.append(result.attempt.outcome)
        if result.retry_s is None:
            break
        assert result.attempt.exit_code == 0
        step = step.next_attempt()
    assert found == outcomes
