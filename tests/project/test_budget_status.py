"""When budgets of a month begin again."""

from __future__ import annotations

from pathlib import Path

from tidemill.costs.budget import BudgetPeriod, BudgetStatus, SpendingBudget
from tidemill.project.budget_status import next_month
from tidemill.project.settings import find_settings
from tidemill.workflow.spending_limit import SpendingLimit

# The middle of January 2026, and the beginning of February.
NOW, FEBRUARY = 1_768_478_400.0, 1_769_904_000.0


def status(spent: float, period: BudgetPeriod = BudgetPeriod.MONTH) -> BudgetStatus:
    budget = SpendingBudget(setting="x", limit=SpendingLimit(amount=10.0), period=period)
    return BudgetStatus(budget=budget, spent=spent, least=0.85)


def test_the_next_month_matters_once_nothing_can_begin(tmp_path: Path) -> None:
    settings = find_settings(tmp_path, "shop:flow")
    assert next_month(settings, (status(9.0),), NOW) is None
    assert next_month(settings, (status(0.0), status(9.2)), NOW) == FEBRUARY
    assert next_month(settings, (status(10.0, BudgetPeriod.TOTAL),), NOW) is None
    assert next_month(settings, (), NOW) is None
