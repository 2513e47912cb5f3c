"""The settings of budgets."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.costs.budget import BudgetSettings, EnvironmentBudget
from tidemill.costs.budget_settings import parse_budget_settings
from tidemill.workflow.spending_limit import SpendingLimit

PLACE = "pyproject.toml: [tool.tidemill.budget]"


def test_the_settings() -> None:
    table = {
        "monthly": 500,
        "warn": 0.5,
        "currency": "EUR",
        "environments": {"dev": {"total": "2 CPU-hours"}, "qa": {"monthly": 0, "total": 7.5}},
    }
    assert parse_budget_settings(table, PLACE) == BudgetSettings(
        monthly=SpendingLimit(amount=500.0),
        warn=0.5,
        currency="EUR",
        environments={
            "dev": EnvironmentBudget(total=SpendingLimit(amount=2.0, in_cpu_hours=True)),
            "qa": EnvironmentBudget(
                monthly=SpendingLimit(amount=0.0), total=SpendingLimit(amount=7.5)
            ),
        },
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "has no budget: set monthly = 500"),
        ({"warn": 0.5}, "has no budget"),
        ({"environments": {}}, "has no budget"),
        ({"month": 5}, "month: did you mean 'monthly'"),
        ({"monthly": -1}, "monthly = -1 is not an amount: write money, such as 500"),
        ({"monthly": float("nan")}, "monthly = nan is not an amount"),
        ({"monthly": float("inf")}, "monthly = inf is not an amount"),
        ({"monthly": True}, "monthly = True is not an amount"),
        ({"monthly": "5 EUR"}, "monthly = '5 EUR' is not an amount"),
        ({"monthly": 5, "warn": 0}, "warn = 0 is not a share"),
        ({"monthly": 5, "warn": "80%"}, "warn = '80%' is not a share"),
        ({"monthly": 5, "currency": 1}, "currency = 1 is not text"),
        ({"environments": 5}, "environments = 5 is not a table"),
        ({"environments": {"dev": 5}}, "environments.dev = 5 is not a table"),
        ({"environments": {"dev": {}}}, "environments.dev = {} is not a table"),
        ({"environments": {"a/b": {"total": 5}}}, "environments.a/b: 'a/b' is not a valid name"),
        ({"environments": {"dev": {"tot": 5}}}, "environments.dev tot: did you mean 'total'"),
        ({"environments": {"dev": {"total": -5}}}, "environments.dev: total = -5 is not an amount"),
    ],
)
def test_settings_that_do_not_fit(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_budget_settings(table, PLACE)
    assert str(error.value).startswith(PLACE)
    assert message in str(error.value)
