"""Read how far the budgets of an environment are used up, without its workflow."""

from __future__ import annotations

from tidemill.core.fingerprint import fingerprint
from tidemill.costs.budget import BudgetPeriod, BudgetStatus, budgets_in_force, month_end
from tidemill.costs.io.sums_reader import SpendingReader
from tidemill.costs.reservation import LEAST
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.ports.ledger import Ledger
from tidemill.project.settings import Settings
from tidemill.workflow.environment import Environment


def open_spending(settings: Settings, ledger: Ledger, workflow: str) -> SpendingReader:
    """What reads the spending of a workflow from its ledger, and only what is new from the second time on."""
    name = workflow_prefix(workflow).rstrip("/")
    kept = settings.root / settings.home / "metrics" / f"{fingerprint('spending', name)[:16]}.bin"
    return SpendingReader(
        ledger, zone=settings.metrics.zone, settings=settings.price_book, kept=kept
    )


def read_budgets(
    settings: Settings, spending: SpendingReader, environment: Environment, now: float
) -> tuple[BudgetStatus, ...]:
    """How far each budget of an environment is used up now; nothing is read if it has none."""
    profile = settings.profiles.get(environment.profile)
    own = None if profile is None else profile.budget
    budgets = budgets_in_force(settings.budget, environment.name, environment.profile, own)
    if not budgets:
        return ()
    found = spending.read()
    price = settings.price_book.at(now)
    return tuple(
        BudgetStatus(
            budget=budget,
            spent=found.of(budget, now, price.currency),
            least=LEAST.share_of(budget.limit, price),
            warn=settings.budget.warn,
            currency=price.currency,
            uncounted=tuple(sorted(found.other_currencies(budget, now, price.currency).items())),
        )
        for budget in budgets
    )


def next_month(settings: Settings, statuses: tuple[BudgetStatus, ...], now: float) -> float | None:
    """When a budget that is used up begins again, if one of a month is."""
    months = [each for each in statuses if each.budget.period is BudgetPeriod.MONTH]
    if any(each.is_used_up for each in months):
        return month_end(now, settings.metrics.zone)
    return None
