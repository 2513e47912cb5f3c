"""Read the budgets from the settings: `[tool.tidemill.budget]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.units import is_number
from tidemill.costs.budget import BudgetSettings, EnvironmentBudget
from tidemill.workflow.environment import check_environment_name
from tidemill.workflow.spending_limit import SpendingLimit, parse_limit

_KEYS = ("monthly", "environments", "warn", "currency")
_OF_ENVIRONMENT = ("monthly", "total")


def parse_budget_settings(table: Mapping[str, Any], place: str) -> BudgetSettings:
    """Read the table `budget`; `place` names it in messages. UsageError names the entry and what fits."""
    _check_keys(table, _KEYS, place)
    warn = table.get("warn", 0.8)
    if not is_number(warn) or not 0 < warn <= 1:
        raise UsageError(f"{place} warn = {warn!r} is not a share above 0, up to 1, such as 0.8")
    currency = table.get("currency", "")
    if not isinstance(currency, str):
        raise UsageError(f"{place} currency = {currency!r} is not text")
    environments = table.get("environments", {})
    if not isinstance(environments, dict):
        raise UsageError(f"{place} environments = {environments!r} is not a table")
    found = BudgetSettings(
        monthly=_limit(table, "monthly", place),
        environments={
            name: _environment(name, own, f"{place} environments.{name}")
            for name, own in environments.items()
        },
        warn=float(warn),
        currency=currency,
    )
    if not found.is_declared:
        raise UsageError(
            f"{place} has no budget: set monthly = 500, or environments.NAME.monthly, or "
            "environments.NAME.total"
        )
    return found


def _environment(name: str, own: object, place: str) -> EnvironmentBudget:
    try:
        check_environment_name(name)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    if not isinstance(own, dict) or not own:
        raise UsageError(f"{place} = {own!r} is not a table with monthly or total")
    _check_keys(own, _OF_ENVIRONMENT, place)
    return EnvironmentBudget(
        monthly=_limit(own, "monthly", f"{place}:"), total=_limit(own, "total", f"{place}:")
    )


def _limit(table: Mapping[str, Any], name: str, place: str) -> SpendingLimit | None:
    if name not in table:
        return None
    try:
        return parse_limit(table[name])
    except ValueError as error:
        raise UsageError(f"{place} {name} = {error}") from error


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
