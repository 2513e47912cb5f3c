"""Budgets: how much may be spent in an environment or by a whole workflow, and how far that has come."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from tidemill.core.errors import Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day, time_zone
from tidemill.ledger.price import Price
from tidemill.workflow.spending_limit import CPU_SECONDS, CPU_UNITS, SpendingLimit


class BudgetPeriod(StrEnum):
    """What a budget is for: each month, or all of an environment's life."""

    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentBudget:
    """The budgets of an environment: for each month, and for all of its life."""

    monthly: SpendingLimit | None = None
    total: SpendingLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """`monthly` is for all environments of the workflow together, `environments` are those of single ones.

    Above the share `warn` of a budget, commands warn. Budgets begin with `currency` only if it is that of the
    prices ("": they do).
    """

    monthly: SpendingLimit | None = None
    environments: Mapping[str, EnvironmentBudget] = field(default_factory=dict)
    warn: float = 0.8
    currency: str = ""

    @property
    def is_declared(self) -> bool:
        """Whether any budget is set."""
        return self.monthly is not None or bool(self.environments)

    def limits(self) -> Iterator[tuple[str, SpendingLimit]]:
        """Each limit with the name of its setting."""
        if self.monthly is not None:
            yield "budget.monthly", self.monthly
        for name, own in self.environments.items():
            if own.monthly is not None:
                yield f"budget.environments.{name}.monthly", own.monthly
            if own.total is not None:
                yield f"budget.environments.{name}.total", own.total


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingBudget:
    """A limit, and the `setting` that sets it; `environment` is "" if it is for all of a workflow."""

    setting: str
    limit: SpendingLimit
    environment: str = ""
    period: BudgetPeriod = BudgetPeriod.MONTH

    @property
    def about(self) -> str:
        """What it limits, in words."""
        what = self.environment or "all environments"
        return f"{what} this month" if self.period is BudgetPeriod.MONTH else what


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """What was spent of a budget, in the unit of its limit; commands warn above the share `warn`.

    With less left than `least`, nothing begins that it limits. What was spent in other currencies is
    `uncounted`.
    """

    budget: SpendingBudget
    spent: float
    least: float = 0.0
    warn: float = 0.8
    currency: str = ""
    uncounted: tuple[tuple[str, float], ...] = ()

    @property
    def left(self) -> float:
        """What is left; 0 if more was spent."""
        return max(0.0, self.budget.limit.amount - self.spent)

    @property
    def is_used_up(self) -> bool:
        """Whether too little is left for anything to begin."""
        return self.left <= 0 or self.left < self.least

    @property
    def is_warning(self) -> bool:
        """Whether so much was spent, or so little is left, that people should know."""
        return self.is_used_up or self.spent >= self.warn * self.budget.limit.amount

    @property
    def is_told(self) -> bool:
        """Whether commands say how far it is used up: also if they don't count all that was spent."""
        return self.is_warning or bool(self.uncounted)

    @property
    def share(self) -> float:
        """The share that was spent; 1 of a budget of 0."""
        amount = self.budget.limit.amount
        return self.spent / amount if amount else 1.0

    def show(self, amount: float) -> str:
        """An amount with its unit."""
        return show_amount(amount, self.budget.limit, self.currency)

    @property
    def limit(self) -> str:
        """The amount of the budget as it was declared, with its unit."""
        return self.budget.limit.text(self.currency)

    def __str__(self) -> str:
        spent = (
            f"{self.budget.about}: {self.show(self.spent)} of {self.limit} spent ({self.share:.0%})"
        )
        if not self.uncounted:
            return spent
        others = [show_amount(amount, self.budget.limit, name) for name, amount in self.uncounted]
        return f"{spent}, without {' and '.join(others)} spent before the currency changed"


def budget_faults(settings: BudgetSettings, price: Price, place: str) -> Iterator[Fault]:
    """What is wrong with budgets beside the prices: without a price, an amount of money limits nothing."""
    if settings.currency and settings.currency != price.currency:
        yield Fault(
            message=f"budgets are in {settings.currency}, but the prices are in {price.currency}",
            where=f"{place}.budget]",
            hint=f'set currency = "{settings.currency}" beside the prices, or leave it out of budgets',
        )
    for name, limit in settings.limits():
        yield from limit_faults(limit, price, f"{place}]", name)


def limit_faults(
    limit: SpendingLimit | None, price: Price, place: str, name: str
) -> Iterator[Fault]:
    """The fault of an amount of money where nothing has a price."""
    if limit is not None and not limit.in_cpu_hours and price.is_free:
        yield Fault(
            message=f"{name} = {limit} limits nothing without a price",
            where=place,
            hint='set one: [tool.tidemill] cpu_hour = 0.05, or limit CPU time: "2 CPU-hours"',
        )


def how_to_go_on(hit: Collection[BudgetStatus]) -> str:
    """What to do about budgets that are used up."""
    settings = [status.budget.setting for status in hit]
    months = any(status.budget.period is BudgetPeriod.MONTH for status in hit)
    wait = ", or wait for the next month" if months else ""
    return f"raise {' and '.join(settings)} in [tool.tidemill]{wait}, and run again"


def show_amount(amount: float, limit: SpendingLimit, currency: str) -> str:
    """An amount in the unit of a limit, rounded: `0.42 EUR`, or `36 CPU-seconds`."""
    if not limit.in_cpu_hours:
        return f"{_digits(amount)} {currency}".strip()
    for unit, size in CPU_UNITS:
        if amount * size >= 1:
            return f"{_digits(amount * size)} CPU-{unit}"
    return f"{_digits(amount * CPU_SECONDS)} CPU-seconds"


def _digits(amount: float) -> str:
    """Two decimals; two digits of an amount that is smaller than them."""
    if amount >= 1_000:
        return f"{amount:,.0f}"
    if not amount or amount >= 0.01:
        return f"{amount:.2f}".removesuffix(".00")
    return f"{float(f'{amount:.2g}'):.12f}".rstrip("0").rstrip(".")


def budgets_in_force(
    settings: BudgetSettings, environment: str, profile: str = "", own: SpendingLimit | None = None
) -> tuple[SpendingBudget, ...]:
    """The budgets that limit an environment; `own` is that of its `profile`, which its total replaces."""
    found = []
    declared = settings.environments.get(environment, EnvironmentBudget())
    place = f"budget.environments.{environment}"
    if settings.monthly is not None:
        found.append(SpendingBudget(setting="budget.monthly", limit=settings.monthly))
    if declared.monthly is not None:
        found.append(
            SpendingBudget(
                setting=f"{place}.monthly", limit=declared.monthly, environment=environment
            )
        )
    total, setting = declared.total, f"{place}.total"
    if total is None:
        total, setting = own, f"profiles.{profile}.budget"
    if total is not None:
        found.append(
            SpendingBudget(
                setting=setting, limit=total, environment=environment, period=BudgetPeriod.TOTAL
            )
        )
    return tuple(found)


def month_of(at: float, zone: str) -> str:
    """The month of a Unix time in a time zone, such as "2013-03"."""
    return local_day(at, zone)[:7]


def month_end(at: float, zone: str) -> float:
    """The Unix time at which the month of a moment ends in a time zone; it has to be in the calendar."""
    first = datetime.fromisoformat(f"{month_of(at, zone)}-01")
    year, month = divmod(first.year * 12 + first.month, 12)
    return datetime(year, month + 1, 1, tzinfo=time_zone(zone)).timestamp()
