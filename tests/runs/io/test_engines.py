"""Steps in the run's own thread: in the order of the plan, together where one call gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tidemill.ledger.binding import Product
from tidemill.planning.batches import MAX_STEPS
from tidemill.runs.io.engines import LocalSteps
from tidemill.runs.io.ready_queue import StepIndex
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.step_messages import StepFailure, StepOutput, Work
from tidemill.testing.records import binding


class Runner(StepRunner):
    """Runs steps without doing anything; `alone` are partitions that can't be computed with others."""

    def __init__(self, *alone: str) -> None:
        self.calls: list[list[str]] = []
        self._alone = alone

    def run(self, work: Work) -> StepOutput | StepFailure:
        self.calls.append([work.partition])
        return StepOutput(product=Product(content=work.partition))

    def run_together(self, works: Sequence[Work]) -> list[StepOutput | None]:
        self.calls.append([work.partition for work in works])
        return [
            None
            if work.partition in self._alone
            else StepOutput(product=Product(content=work.partition))
            for work in works
        ]


def steps_of(runner: Runner, *batched: str) -> LocalSteps:
    seconds = iter(float(number) for number in range(1000))
    return LocalSteps(runner, batched, lambda: next(seconds))


def work(stage: str, partition: str, rows: int = 1, **other: Any) -> Work:
    made = binding(output=Product(content="in", rows=rows))
    return Work(
        stage=stage, partition=partition, recipe="r", inputs={"raw": {partition: made}}, **other
    )


def drain(local: LocalSteps) -> dict[int, float]:
    """Run all steps; the CPU seconds of each, in the order in which they ended."""
    found: dict[int, float] = {}
    while len(local):
        for index, output, cost in local.run_next():
            assert isinstance(output, StepOutput)
            found[index] = cost.cpu_s
    return found


def test_steps_run_in_the_order_of_the_plan() -> None:
    runner = Runner()
    local = steps_of(runner)
    for index in (2, 0, 1):
        local.add(StepIndex(index), work("daily", str(index)))
    assert drain(local) == {0: 1.0, 1: 1.0, 2: 1.0}
    assert runner.calls == [["0"], ["1"], ["2"]]


def test_steps_of_a_batched_stage_run_together_and_share_the_cost_by_rows() -> None:
    runner = Runner()
    local = steps_of(runner, "daily")
    local.add(StepIndex(0), work("daily", "a", rows=4))
    local.add(StepIndex(1), work("other", "b"))
    local.add(StepIndex(2), work("daily", "c", rows=14))
    assert drain(local) == {0: 0.25, 2: 0.75, 1: 1.0}
    assert runner.calls == [["a", "c"], ["b"]]


def test_a_step_that_has_to_run_alone_pays_for_both_calls() -> None:
    runner = Runner("b")
    local = steps_of(runner, "daily")
    for index, partition in enumerate("abc"):
        local.add(StepIndex(index), work("daily", partition))
    found = drain(local)
    assert [*found] == [0, 1, 2]
    assert found[1] == pytest.approx(found[0] + 1.0)
    assert runner.calls == [["a", "b", "c"], ["b"]]


@pytest.mark.parametrize(
    "other", [{"attempt": 2}, {"columns": ("x",), "held": Product(content="h")}]
)
def test_work_that_differs_runs_alone(other: dict[str, Any]) -> None:
    runner = Runner()
    local = steps_of(runner, "daily")
    local.add(StepIndex(0), work("daily", "a"))
    local.add(StepIndex(1), work("daily", "b", **other))
    drain(local)
    assert runner.calls == [["a"], ["b"]]


def test_only_waiting_steps_of_a_batched_stage_gather_others() -> None:
    local = steps_of(Runner(), "daily")
    local.add(StepIndex(0), work("daily", "a"))
    local.add(StepIndex(1), work("other", "b"))
    assert [local.batch_size(StepIndex(n)) for n in range(3)] == [MAX_STEPS, 0, 0]
