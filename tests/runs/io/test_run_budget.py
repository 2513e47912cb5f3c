"""The budget of a run: which steps begin, wait, or stop, and what it says."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import pytest

from tidemill.costs.budget import BudgetPeriod, BudgetStatus, SpendingBudget
from tidemill.costs.quantities import Quantities
from tidemill.costs.spent import Spent
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.plan import Step
from tidemill.ports.execution import TaskUsage
from tidemill.runs.io.run_budget import RunBudget, StepPermit, expected_use, needed_to_begin
from tidemill.steps.step_messages import StepCost
from tidemill.workflow.spending_limit import SpendingLimit

BEGINS, WAITS = StepPermit(begins=True), StepPermit(begins=False, waits=True)


class Clock:
    """CPU seconds that a test sets."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def step(stage: str = "a", cpu_s: float | None = 1.0, action: Action = Action.RUN) -> Step:
    return Step(stage=stage, partition="1", action=action, reasons=(), cpu_s=cpu_s, wall_s=cpu_s)


def status(seconds: float) -> BudgetStatus:
    limit = SpendingLimit(amount=seconds / 3_600, in_cpu_hours=True)
    budget = SpendingBudget(
        setting="profiles.x.budget", limit=limit, environment="dev", period=BudgetPeriod.TOTAL
    )
    return BudgetStatus(budget=budget, spent=0.0)


def budget(seconds: float, clock: Clock | None = None, **options: Any) -> RunBudget:
    clock = clock or Clock()
    given: dict[str, Any] = {
        "is_limited": lambda step: step.stage != "urgent",
        "workers": 8,
        "cpu_clock": clock,
        "own_clock": clock,
    }
    return RunBudget([status(seconds)], Price(), **given | options)


def attempt(stage: str, outcome: Outcome) -> Attempt:
    return Attempt(stage=stage, partition="1", action="run", outcome=outcome)


def test_steps_begin_while_they_fit_and_wait_for_others() -> None:
    own = budget(5.0)
    assert own.reserve("1", step(cpu_s=2.0), 1.0) == BEGINS
    assert own.reserve("2", step(cpu_s=3.0), 1.0) == WAITS
    assert own.reserve("3", step(cpu_s=1.0), 1.0) == BEGINS
    assert own.settle("1", StepCost())
    assert own.settle("3", StepCost())
    assert not own.settle("3", StepCost())
    assert own.reserve("2", step(cpu_s=3.0), 1.0) == BEGINS
    assert not [*own.messages(())]


def test_no_more_begin_than_there_are_workers_if_little_is_left() -> None:
    own = budget(100.0, workers=1)
    assert own.reserve("1", step(), 1.0) == BEGINS
    assert own.reserve("2", step(), 1.0) == WAITS
    far = budget(100.0, workers=1, is_near=False)
    assert far.reserve("1", step(), 1.0) == far.reserve("2", step(), 1.0) == BEGINS
    assert own.must_be_stoppable(step())
    assert not own.must_be_stoppable(step("urgent"))
    assert not far.must_be_stoppable(step())


def test_what_does_not_fit_alone_never_begins() -> None:
    own = budget(5.0)
    found = own.reserve("1", step(cpu_s=9.0), 1.0)
    assert (found.begins, found.waits) == (False, False)
    assert "may exceed the budget of dev" in found.why
    own.note_stop(step())
    tried = [
        attempt("raw", Outcome.OK),
        attempt("raw", Outcome.BOUND),
        attempt("a", Outcome.SKIPPED),
        attempt("b", Outcome.STOPPED),
    ]
    assert [*own.messages(tried)] == [
        "stopped by the budget of dev: 0 CPU-seconds of 5 CPU-seconds spent (0%) before this run",
        "done: raw 1; left: a 1, b 1",
        "what is done stays, and the next run goes on there: raise profiles.x.budget in "
        "[tool.tidemill], and run again",
    ]
    assert "done: nothing; left: nothing" in [*own.messages(())]


def test_a_budget_that_is_nearly_used_up() -> None:
    low = replace(status(10.0), spent=9.0 / 3_600)
    own = RunBudget([low], Price(), is_limited=lambda _: True)
    assert [*own.messages((), ["raw"])] == [
        "budget of dev: 9 CPU-seconds of 10 CPU-seconds spent (90%)",
        "raw: judged by their estimates under a budget, because only steps in worker processes can be "
        "stopped",
    ]


def test_urgent_steps_begin_and_count() -> None:
    clock = Clock()
    own = budget(5.0, clock)
    assert own.reserve("1", step("urgent", cpu_s=90.0), 1.0) == BEGINS
    clock.at += 4.0
    assert not own.settle("1", StepCost())
    assert not own.reserve("2", step(cpu_s=1.0), 1.0).begins


def test_a_running_step_is_stopped_before_it_exceeds_a_budget() -> None:
    clock = Clock()
    own = budget(5.0, clock)
    assert own.reserve("1", step(cpu_s=0.1), 1.0) == BEGINS
    clock.at += 0.5
    assert not own.find_over({"1": TaskUsage(cpu_s=2.0, wall_s=2.0)}, 3.0)
    # What this process uses between two looks counts too.
    clock.at += 0.5
    assert [*own.find_over({"1": TaskUsage(cpu_s=3.0, wall_s=3.0)}, 3.6)] == ["1"]
    own.note_stop(step())
    assert len([*own.messages(())]) == 3


def test_the_start_of_workers_counts() -> None:
    own = budget(5.0)
    assert own.reserve("1", step(cpu_s=0.1), 1.0) == BEGINS
    assert [*own.find_over({"1": TaskUsage()}, 4.5)] == ["1"]


def test_memory_and_calls_of_services_count() -> None:
    price = Price(cpu_hour=3_600.0, memory_gb_hour=3_600.0)
    limit = SpendingLimit(amount=30.0)
    held = BudgetStatus(budget=SpendingBudget(setting="budget.monthly", limit=limit), spent=0.0)

    def room() -> RunBudget:
        clock = Clock()
        return RunBudget(
            [held], price, is_limited=lambda _: True, workers=8, cpu_clock=clock, own_clock=clock
        )

    own = room()
    assert own.reserve("1", step(cpu_s=1.0), 1.0, 10**9) == BEGINS
    ten = TaskUsage(wall_s=10.0, peak_rss=10**9)
    assert not own.find_over({"1": ten}, 0.0)
    own.settle("1", StepCost(wall_s=10.0, peak_rss=10**9))
    # What a task held is counted once.
    assert own.reserve("2", step(cpu_s=7.0), 1.0, 10**9) == BEGINS
    assert own.reserve("3", step(cpu_s=7.0), 1.0, 10**9) == WAITS
    own = room()
    own.settle("0", StepCost(), Quantities(spent=29.0))
    assert not own.reserve("1", step(cpu_s=1.0), 1.0).begins


def test_devices_count() -> None:
    limit = SpendingLimit(amount=30.0)
    held = BudgetStatus(budget=SpendingBudget(setting="budget.monthly", limit=limit), spent=0.0)
    own = RunBudget([held], Price(gpu_hour=3_600.0), is_limited=lambda _: True)
    assert own.reserve("1", step(cpu_s=1.0), 1.0, gpus=2) == BEGINS
    assert not own.find_over({"1": TaskUsage(wall_s=14.0)}, 0.0)
    assert [*own.find_over({"1": TaskUsage(wall_s=14.9)}, 0.0)] == ["1"]
    own.settle("1", StepCost(wall_s=14.9))
    assert not own.reserve("2", step(cpu_s=1.0), 1.0, gpus=2).begins
    assert own.reserve("3", step(cpu_s=1.0), 1.0) == BEGINS


def test_a_training_waits_for_the_trials_that_a_budget_stopped() -> None:
    own = budget(100.0)
    own.note_stop(step("m", action=Action.TRIAL))
    assert "trials of its search" in own.reserve("1", step("m", action=Action.TRAIN), 1.0).why
    assert own.reserve("2", step("n", action=Action.TRAIN), 1.0) == BEGINS


@pytest.mark.parametrize("cap", [0, 10**9])
def test_what_is_expected(cap: int) -> None:
    found = expected_use(step(cpu_s=10.0), cap=cap)
    assert found.cpu_s == pytest.approx(12.0)
    assert found.memory_gb_s == pytest.approx(12.0 if cap else 24.0)
    assert 0 < expected_use(step(cpu_s=None)).cpu_s < 0.1


def tokens(number: float) -> Quantities:
    return Quantities(units={"tokens": number})


def test_units_count_and_are_reserved_as_steps_of_the_run_used_them() -> None:
    limit = SpendingLimit(amount=25.0)
    held = BudgetStatus(budget=SpendingBudget(setting="budget.monthly", limit=limit), spent=0.0)
    clock = Clock()
    own = RunBudget(
        [held],
        Price(units={"tokens": 1.0}, egress_gb=1.0),
        is_limited=lambda _: True,
        usual=lambda step: tokens(20.0) if step.stage == "known" else None,
        workers=8,
        cpu_clock=clock,
        own_clock=clock,
    )
    # Nobody knows what the first one uses.
    assert own.reserve("1", step(), 1.0) == BEGINS
    assert own.settle("1", StepCost(wall_s=1.0), tokens(10.0))
    assert own.reserve("2", step(), 1.0) == BEGINS
    assert own.reserve("3", step(), 1.0) == WAITS
    assert own.settle("2", StepCost(wall_s=1.0), Quantities(egress_gb=10.0))
    assert not own.reserve("3", step(), 1.0).begins
    # One that failed before it began tells nothing, and history tells of other stages.
    assert own.reserve("4", step("other"), 1.0) == BEGINS
    assert own.settle("4", StepCost())
    assert own.reserve("4", step("other"), 1.0) == BEGINS
    assert own.settle("4", StepCost(wall_s=1.0))
    assert not own.reserve("5", step("known"), 1.0).begins


def test_what_has_to_be_left_for_a_step_to_begin() -> None:
    usual = Spent(cpu_s=9.0, memory_gb_s=5.0, gpu_s=6.0, external=7.0)
    found = needed_to_begin(step(cpu_s=10.0), usual)
    assert astuple(found) == pytest.approx((12.5, 6.0, 7.2, 8.4))
    # A quick one may run until it is looked at.
    assert needed_to_begin(step(cpu_s=0.0)).cpu_s == pytest.approx(0.85)
