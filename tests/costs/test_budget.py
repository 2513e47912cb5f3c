"""Budgets: which are in force, how far they are used up, and when months end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.costs.budget import (
    BudgetPeriod,
    BudgetSettings,
    BudgetStatus,
    EnvironmentBudget,
    SpendingBudget,
    budget_faults,
    budgets_in_force,
    how_to_go_on,
    limit_faults,
    month_end,
    month_of,
    show_amount,
)
from tidemill.ledger.price import Price
from tidemill.workflow.spending_limit import SpendingLimit

TEN, ONE = SpendingLimit(amount=10.0), SpendingLimit(amount=1.0, in_cpu_hours=True)


def test_the_budgets_in_force() -> None:
    settings = BudgetSettings(
        monthly=TEN,
        environments={"dev": EnvironmentBudget(monthly=TEN, total=ONE), "qa": EnvironmentBudget()},
    )
    month = SpendingBudget(setting="budget.monthly", limit=TEN)
    own = SpendingBudget(
        setting="profiles.experiment.budget",
        limit=ONE,
        environment="other",
        period=BudgetPeriod.TOTAL,
    )
    assert budgets_in_force(settings, "other") == (month,)
    assert budgets_in_force(settings, "other", "experiment", ONE) == (month, own)
    # The total of an environment replaces the budget of its profile.
    found = budgets_in_force(settings, "dev", "experiment", TEN)
    assert [each.setting for each in found] == [
        "budget.monthly",
        "budget.environments.dev.monthly",
        "budget.environments.dev.total",
    ]
    assert [each.about for each in (*found, own)] == [
        "all environments this month",
        "dev this month",
        "dev",
        "other",
    ]
    assert budgets_in_force(BudgetSettings(), "dev") == ()


def test_the_declared_limits() -> None:
    settings = BudgetSettings(
        monthly=TEN,
        environments={"a": EnvironmentBudget(monthly=TEN), "b": EnvironmentBudget(total=ONE)},
    )
    assert dict(settings.limits()) == {
        "budget.monthly": TEN,
        "budget.environments.a.monthly": TEN,
        "budget.environments.b.total": ONE,
    }
    assert settings.is_declared
    assert not BudgetSettings().is_declared
    assert not [*BudgetSettings().limits()]


@pytest.mark.parametrize(
    ("limit", "spent", "left", "warns", "text"),
    [
        (10.0, 2.0, 8.0, False, "dev this month: 2 EUR of 10 EUR spent (20%)"),
        (10.0, 8.0, 2.0, True, "dev this month: 8 EUR of 10 EUR spent (80%)"),
        (10.0, 12.5, 0.0, True, "dev this month: 12.50 EUR of 10 EUR spent (125%)"),
        (1.25e-4, 0.0, 1.25e-4, False, "dev this month: 0 EUR of 0.000125 EUR spent (0%)"),
        (0.0, 0.0, 0.0, True, "dev this month: 0 EUR of 0 EUR spent (100%)"),
    ],
)
def test_the_status(limit: float, spent: float, left: float, warns: bool, text: str) -> None:
    budget = SpendingBudget(setting="x", limit=SpendingLimit(amount=limit), environment="dev")
    found = BudgetStatus(budget=budget, spent=spent, currency="EUR")
    assert (found.left, found.is_warning, str(found)) == (left, warns, text)
    assert found.is_used_up == (left == 0)
    # Nothing begins with less than what anything needs.
    nearly = replace(found, least=left + 0.1)
    assert nearly.is_used_up
    assert nearly.is_warning


def test_what_was_spent_in_other_currencies_is_told() -> None:
    budget = SpendingBudget(setting="x", limit=TEN, environment="dev", period=BudgetPeriod.TOTAL)
    found = BudgetStatus(budget=budget, spent=0.0, currency="USD")
    assert not found.is_told
    other = replace(found, uncounted=(("EUR", 80.0), ("GBP", 0.5)))
    assert (other.is_told, other.is_warning, other.left) == (True, False, 10.0)
    assert str(other) == (
        "dev: 0 USD of 10 USD spent (0%), without 80 EUR and 0.50 GBP spent before the currency changed"
    )


@pytest.mark.parametrize(
    ("amount", "in_cpu_hours", "text"),
    [
        (1_234.0, False, "1,234 EUR"),
        (0.001234, False, "0.0012 EUR"),
        (0.0, False, "0 EUR"),
        (2.5, True, "2.50 CPU-hours"),
        (0.5, True, "30 CPU-minutes"),
        (0.01, True, "36 CPU-seconds"),
    ],
)
def test_amounts_in_words(amount: float, in_cpu_hours: bool, text: str) -> None:
    limit = SpendingLimit(amount=1.0, in_cpu_hours=in_cpu_hours)
    assert show_amount(amount, limit, "EUR") == text


def local(year: int, month: int, day: int, zone: str, hour: int = 0) -> float:
    return datetime(year, month, day, hour, tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"])
@given(at=st.floats(min_value=-1e9, max_value=1e10))
def test_months_end_where_others_begin(zone: str, at: float) -> None:
    end = month_end(at, zone)
    assert end > at
    assert month_of(end - 0.001, zone) == month_of(at, zone)
    assert month_of(end, zone) > month_of(at, zone)


def test_months_of_zones() -> None:
    new_year = local(2026, 1, 1, "Asia/Tokyo")
    assert month_of(new_year, "Asia/Tokyo") == "2026-01"
    assert month_of(new_year, "UTC") == "2025-12"
    assert month_end(new_year, "UTC") == local(2026, 1, 1, "UTC")


def test_how_to_go_on() -> None:
    total = SpendingBudget(
        setting="profiles.experiment.budget",
        limit=ONE,
        environment="dev",
        period=BudgetPeriod.TOTAL,
    )
    month = SpendingBudget(setting="budget.monthly", limit=TEN)
    statuses = [BudgetStatus(budget=each, spent=1.0) for each in (total, month)]
    assert how_to_go_on(statuses[:1]) == (
        "raise profiles.experiment.budget in [tool.tidemill], and run again"
    )
    assert how_to_go_on(statuses) == (
        "raise profiles.experiment.budget and budget.monthly in [tool.tidemill], or wait for the next "
        "month, and run again"
    )


PLACE = "pyproject.toml: [tool.tidemill"


@pytest.mark.parametrize(
    ("settings", "price", "faults"),
    [
        (BudgetSettings(monthly=TEN), Price(cpu_hour=1.0), []),
        (BudgetSettings(environments={"a": EnvironmentBudget(total=ONE)}), Price(), []),
        (
            BudgetSettings(
                monthly=TEN, environments={"a": EnvironmentBudget(monthly=ONE, total=TEN)}
            ),
            Price(),
            [
                "[tool.tidemill]: budget.monthly = 10 limits nothing without a price (set one",
                "[tool.tidemill]: budget.environments.a.total = 10 limits nothing without a price",
            ],
        ),
        (
            BudgetSettings(monthly=TEN, currency="EUR"),
            Price(cpu_hour=1.0, currency="CHF"),
            ["[tool.tidemill.budget]: budgets are in EUR, but the prices are in CHF"],
        ),
        (BudgetSettings(monthly=TEN, currency="EUR"), Price(cpu_hour=1.0, currency="EUR"), []),
    ],
)
def test_faults_beside_the_prices(
    settings: BudgetSettings, price: Price, faults: list[str]
) -> None:
    found = [str(fault) for fault in budget_faults(settings, price, PLACE)]
    assert len(found) == len(faults)
    for text, fault in zip(found, faults, strict=True):
        assert text.startswith(f"pyproject.toml: {fault}")


def test_no_limit_has_no_fault() -> None:
    assert not [*limit_faults(None, Price(), PLACE, "budget")]
