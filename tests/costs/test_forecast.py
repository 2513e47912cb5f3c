"""What a plan is expected to take of budgets."""

from __future__ import annotations

from dataclasses import replace

from tidemill.costs.budget import BudgetStatus, SpendingBudget
from tidemill.costs.forecast import ExpectedStep, forecast
from tidemill.costs.spent import Spent
from tidemill.ledger.price import Price
from tidemill.workflow.spending_limit import SpendingLimit

PRICE = Price(cpu_hour=3_600.0)


def status(amount: float, spent: float = 0.0) -> BudgetStatus:
    budget = SpendingBudget(setting="budget.monthly", limit=SpendingLimit(amount=amount))
    return BudgetStatus(budget=budget, spent=spent, currency="EUR")


def step(name: str, cpu_s: float | None, *, is_limited: bool = True) -> ExpectedStep:
    expected = None if cpu_s is None else Spent(cpu_s=cpu_s)
    return ExpectedStep(name=name, expected=expected, is_limited=is_limited)


def test_what_fits_in_the_order_of_the_plan() -> None:
    steps = [step("a", 4.0), step("b", 7.0), step("c", 5.0), step("d", None), step("e", 2.0)]
    (found,) = forecast([status(12.0, 2.0)], steps, PRICE)
    assert (found.expected, found.unknown, found.misfits) == (18.0, 1, ("b", "e"))
    assert found.is_exceeded
    assert found.budget.setting == "budget.monthly"
    assert found.document() == {
        "setting": "budget.monthly",
        "environment": "",
        "period": "month",
        "unit": "EUR",
        "limit": 12.0,
        "spent": 2.0,
        "left": 10.0,
        "expected": 18.0,
        "unknown": 1,
        "misfits": ["b", "e"],
    }
    (found,) = forecast([status(20.0)], steps, PRICE)
    assert not found.is_exceeded


def test_urgent_steps_take_their_part_and_are_never_stopped() -> None:
    steps = [step("a", 8.0, is_limited=False), step("b", 4.0), step("c", 9.0, is_limited=False)]
    (found,) = forecast([status(10.0)], steps, PRICE)
    assert (found.expected, found.misfits) == (21.0, ("b",))


def test_nothing_fits_in_a_budget_that_is_used_up() -> None:
    steps = [step("a", 0.0), step("b", None), step("c", 1.0, is_limited=False)]
    found = forecast([status(0.0), status(5.0, 6.0), status(5.0)], steps, PRICE)
    assert [each.misfits for each in found] == [("a", "b"), ("a", "b"), ()]
    assert forecast([], steps, PRICE) == ()


def test_what_people_should_see() -> None:
    quick = [step("a", 0.1)]
    found = forecast([status(100.0), status(10.0), status(100.0, 85.0)], quick, PRICE)
    assert [each.matters for each in found] == [False, True, True]
    (exceeded,) = forecast([status(100.0)], [step("a", 101.0)], PRICE)
    assert exceeded.matters
    own = replace(status(100.0).budget, environment="dev")
    (of_one,) = forecast([replace(status(100.0), budget=own)], quick, PRICE)
    assert of_one.matters


def test_a_step_needs_more_than_it_should_use() -> None:
    steps = [replace(step("a", 4.0), needs=Spent(cpu_s=5.5)), step("b", 4.0)]
    found = forecast([status(5.0), status(8.0)], steps, PRICE, Spent(cpu_s=1.0, external=2.0))
    # What the run uses beside them is used before they begin.
    assert [each.misfits for each in found] == [("a", "b"), ("a",)]
    # The run beside them counts.
    assert found[0].expected == 11.0
    (small,) = forecast([replace(status(5.0), least=6.0)], [step("b", 1.0)], PRICE)
    assert small.misfits == ("b",)
