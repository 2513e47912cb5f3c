"""Add up from the events of a ledger what the environments of a workflow spent, for budgets.

Every attempt counts, also those that failed, were stopped, or belong to a run whose process died. What a run
used beside its attempts (planning, checks, worker processes that start) counts when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.budget import BudgetPeriod, SpendingBudget, month_of
from tidemill.costs.ledger_costs import served_price
from tidemill.costs.price_history import PriceHistories
from tidemill.costs.quantities import (
    Quantities,
    add_amounts,
    attempt_quantities,
    idle_quantities,
    request_quantities,
)
from tidemill.ledger.event import (
    Attempted,
    EnvironmentCreated,
    RecordedEvent,
    RunEnded,
    RunStarted,
    Served,
)
from tidemill.ledger.price import HOUR_S, Price
from tidemill.workflow.spending_limit import SpendingLimit

# Months that are remembered.
_MONTHS_KEPT = 14


@dataclass(slots=True, kw_only=True)
class SpentSum:
    """CPU seconds, and money by currency."""

    cpu_s: float = 0.0
    money: dict[str, float] = field(default_factory=dict)

    def add(self, used: Quantities, price: Price) -> None:
        """Add what something used, at its prices."""
        self.cpu_s += used.cpu_s
        add_amounts(self.money, {price.currency: used.cost(price)})

    def amount(self, limit: SpendingLimit, currency: str) -> float:
        """How much of a limit it takes; money in other currencies than that of the limit isn't added."""
        return self.cpu_s / HOUR_S if limit.in_cpu_hours else self.money.get(currency, 0.0)

    def other_currencies(self, limit: SpendingLimit, currency: str) -> Mapping[str, float]:
        """The money in other currencies, which a limit of money leaves out."""
        if limit.in_cpu_hours:
            return {}
        return {name: amount for name, amount in self.money.items() if amount and name != currency}


@dataclass(slots=True, kw_only=True)
class OpenRunSpending:
    """A run that hasn't ended: its environment, the prices when it began, and what its attempts used."""

    environment: str
    price: Price
    used: Quantities = field(default_factory=Quantities)


@dataclass(slots=True, kw_only=True)
class Spending:
    """What was spent up to event `seq`, which was recorded at `at` (Unix seconds).

    `months` is by environment and month of the time zone `zone`, `totals` by environment since its creation.
    """

    zone: str
    seq: int = 0
    at: float = 0.0
    events: int = 0
    months: dict[str, dict[str, SpentSum]] = field(default_factory=dict)
    totals: dict[str, SpentSum] = field(default_factory=dict)
    open_runs: dict[str, OpenRunSpending] = field(default_factory=dict)

    def note(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add an event; one of another kind only moves `seq`."""
        self.seq, self.at = fact.seq, fact.at
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            self.events += 1
            handler(self, fact, prices)

    def priced(self) -> set[str]:
        """The environments whose prices the sums depend on."""
        return {*self.months, *(run.environment for run in self.open_runs.values())}

    def of(self, budget: SpendingBudget, now: float, currency: str) -> float:
        """What was spent of a budget, in the unit of its limit."""
        return sum(each.amount(budget.limit, currency) for each in self._sums(budget, now))

    def other_currencies(
        self, budget: SpendingBudget, now: float, currency: str
    ) -> dict[str, float]:
        """What was spent in other currencies, which isn't in what was spent of a budget."""
        found: dict[str, float] = {}
        for each in self._sums(budget, now):
            add_amounts(found, each.other_currencies(budget.limit, currency))
        return found

    def _sums(self, budget: SpendingBudget, now: float) -> list[SpentSum]:
        if budget.period is BudgetPeriod.TOTAL:
            sums = [self.totals.get(budget.environment)]
        else:
            month = month_of(now, self.zone)
            names = [budget.environment] if budget.environment else [*self.months]
            sums = [self.months.get(name, {}).get(month) for name in names]
        return [each for each in sums if each is not None]

    def _add(self, environment: str, at: float, used: Quantities, price: Price) -> None:
        months = self.months.setdefault(environment, {})
        months.setdefault(month_of(at, self.zone), SpentSum()).add(used, price)
        for old in sorted(months)[:-_MONTHS_KEPT]:
            del months[old]
        self.totals.setdefault(environment, SpentSum()).add(used, price)

    def _create_environment(self, fact: RecordedEvent, _: PriceHistories) -> None:
        """Begin again for a new environment, also one that has the name of an earlier one."""
        event: Any = fact.event
        self.totals.pop(event.environment, None)

    def _start_run(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        price = prices.of(event.environment).price(fact.seq, fact.at)
        self.open_runs[event.run] = OpenRunSpending(environment=event.environment, price=price)

    def _add_attempt(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        used, run = attempt_quantities(event.attempt), self.open_runs.get(event.run)
        if run is not None:
            run.used.add(used)
        price = run.price if run else prices.of(event.environment).price(fact.seq, fact.at)
        self._add(event.environment, fact.at, used, price)

    def _end_run(self, fact: RecordedEvent, _: PriceHistories) -> None:
        event: Any = fact.event
        run = self.open_runs.pop(event.run, None)
        if run is not None and event.receipt is not None:
            receipt = event.receipt
            metered = Quantities(cpu_s=receipt.cpu_s, memory_gb_s=receipt.memory_gb_s)
            self._add(run.environment, fact.at, metered.beyond(run.used), run.price)

    def _serve(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        price = served_price(event, prices.of(event.environment).price(fact.seq, event.until))
        for usage in event.usages:
            for used in (request_quantities(usage), idle_quantities(usage)):
                self._add(event.environment, event.until, used, price)


_HANDLERS: Mapping[type, Callable[[Spending, RecordedEvent, PriceHistories], None]] = {
    EnvironmentCreated: Spending._create_environment,
    RunStarted: Spending._start_run,
    Attempted: Spending._add_attempt,
    RunEnded: Spending._end_run,
    Served: Spending._serve,
}

# The kinds of events that spending is derived from.
SPENDING_EVENTS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
