"""Sum up what predictions cost, from the events of an environment as they are read.

What was spent is kept in billionths of the currency by day, so that sums are the same in whatever order
they are made. Trainings are kept by run: that of a version is spread over the time in which it is live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.costs.allocation import divide_quantities
from tidemill.costs.ledger_costs import served_price
from tidemill.costs.price_history import PriceHistories
from tidemill.costs.quantities import (
    Quantities,
    attempt_quantities,
    idle_quantities,
    request_quantities,
    storage_quantities,
)
from tidemill.history.stage_performance import whole_units
from tidemill.ledger.cost_events import StorageMetered
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Delivered,
    EnvironmentCreated,
    EnvironmentDropped,
    Published,
    RecordedEvent,
    RunEnded,
    RunStarted,
    Served,
)
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Attempt, Outcome

NANO = 1_000_000_000
# What counts from other environments, too.
TRAINED = (Action.TRAIN, Action.TRIAL)
_OF_TRAINING = (*TRAINED, Action.EVALUATE, Action.GATE)


@dataclass(slots=True, kw_only=True)
class ServedDay:
    """What a version served at an endpoint on a day, and what that cost."""

    predictions: int = 0
    serving: int = 0
    idle: int = 0


@dataclass(slots=True, kw_only=True)
class WorkDay:
    """What a stage's steps cost on a day, how many rows they computed, and what storing its data cost."""

    spent: int = 0
    rows: int = 0
    stored: int = 0


@dataclass(slots=True, kw_only=True)
class TrainingSpending:
    """What a stage spent in a run to train, search, evaluate or judge a model, by day.

    Of another environment it counts only where its version is live. What was spent in the `omitted`
    currencies isn't in it.
    """

    days: dict[str, int] = field(default_factory=dict)
    foreign: bool = False
    omitted: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class RunSpending:
    """What the attempts of an open run used by stage, and the prices when it began."""

    price: Price
    stages: dict[str, Quantities] = field(default_factory=dict)
    training: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class InferenceCosts:
    """What was spent in an environment in a `currency`, and on what; days are those of the time zone `zone`.

    What was spent in another currency is only named in `omitted`, with its days.

    `artifacts` are the model and the run of each version, `deliveries` by model the versions that went live
    and when. `parents` are the inputs of stages, `scoring` the models of the tables that they score, and
    `tables` the delivered tables.
    """

    environment: str
    zone: str
    currency: str
    served: dict[str, dict[str, dict[str, ServedDay]]] = field(default_factory=dict)
    work: dict[str, dict[str, WorkDay]] = field(default_factory=dict)
    trainings: dict[str, dict[str, TrainingSpending]] = field(default_factory=dict)
    artifacts: dict[str, tuple[str, str]] = field(default_factory=dict)
    deliveries: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    scoring: dict[str, str] = field(default_factory=dict)
    evaluations: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    runs: dict[str, RunSpending] = field(default_factory=dict)
    omitted: dict[str, set[str]] = field(default_factory=dict)

    def add(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add an event; those of other kinds change nothing."""
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            handler(self, fact, prices)

    def prune(self, first: str) -> None:
        """Forget the days before a day, and the trainings of versions that nobody uses any more."""
        for by_version in self.served.values():
            _drop_before(by_version, first)
        _drop_before(self.work, first)
        recent = {
            currency: {day for day in days if day >= first}
            for currency, days in self.omitted.items()
        }
        self.omitted = {currency: days for currency, days in recent.items() if days}
        needed = self._needed_runs(first)
        for by_run in self.trainings.values():
            old = [
                run for run, each in by_run.items() if max(each.days) < first and run not in needed
            ]
            for run in old:
                del by_run[run]

    def _needed_runs(self, first: str) -> set[str]:
        """The runs of versions that were live since a day."""
        found: set[str] = set()
        for own in self.deliveries.values():
            for number, (_, version) in enumerate(own):
                until = own[number + 1][0] if number + 1 < len(own) else None
                if until is None or local_day(until, self.zone) >= first:
                    found.add(self.artifacts.get(version, ("", ""))[1])
        return found

    def _is_here(self, event: Any) -> bool:
        return bool(event.environment == self.environment)

    def _amount(self, used: Quantities, price: Price, day: str) -> int:
        """What it costs in billionths of the currency; nothing if the price is in another one."""
        amount, other = self._convert(used, price)
        if other:
            self.omitted.setdefault(other, set()).add(day)
        return amount

    def _convert(self, used: Quantities, price: Price) -> tuple[int, str]:
        """What it costs in billionths of the currency; nothing, and which other one, if it is in that."""
        amount = whole_units(used.cost(price), NANO)
        return (0, price.currency) if amount and price.currency != self.currency else (amount, "")

    def _end_environment(self, fact: RecordedEvent, _: PriceHistories) -> None:
        if self._is_here(fact.event):
            self.parents, self.scoring = {}, {}
            for own in self.deliveries.values():
                own.append((fact.at, ""))

    def _start_run(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        if self._is_here(event):
            price = prices.of(event.environment).price(fact.seq, fact.at)
            self.runs[event.run] = RunSpending(price=price)

    def _end_run(self, fact: RecordedEvent, _: PriceHistories) -> None:
        """Charge what a run used beside its attempts to what these are charged to."""
        event: Any = fact.event
        run = self.runs.pop(event.run, None)
        if run is None or event.receipt is None:
            return
        receipt, steps = event.receipt, Quantities()
        for used in run.stages.values():
            steps.add(used)
        metered = Quantities(cpu_s=receipt.cpu_s, memory_gb_s=receipt.memory_gb_s)
        beside, day = metered.beyond(steps), local_day(fact.at, self.zone)
        parts = divide_quantities(beside, run.stages)
        for stage, part in (parts or {"": beside}).items():
            if stage in run.training:
                self._charge_training(stage, event.run, day, self._convert(part, run.price))
            else:
                self._charge_work(stage, day, self._amount(part, run.price, day))

    def _add_attempt(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        attempt: Attempt = event.attempt
        here = self._is_here(event)
        if not here and attempt.action not in TRAINED:
            return
        used, run = attempt_quantities(attempt), self.runs.get(event.run)
        history = prices.of(event.environment)
        price = run.price if run is not None else history.price(fact.seq, fact.at)
        day = local_day(fact.at, self.zone)
        if run is not None:
            run.stages.setdefault(attempt.stage, Quantities()).add(used)
        if attempt.action in _OF_TRAINING:
            if run is not None:
                run.training.add(attempt.stage)
            if attempt.action == Action.EVALUATE:
                self.evaluations.add(attempt.stage)
            spent = self._convert(used, price)
            self._charge_training(attempt.stage, event.run, day, spent, foreign=not here)
            return
        if attempt.action == Action.DELIVER:
            self.tables.add(attempt.stage)
        rows = attempt.rows_out if _has_computed(attempt) else 0
        self._charge_work(attempt.stage, day, self._amount(used, price, day), rows)

    def _charge_work(self, stage: str, day: str, spent: int, rows: int = 0) -> None:
        if spent or rows:
            own = self._work_day(stage, day)
            own.spent += spent
            own.rows += rows

    def _work_day(self, stage: str, day: str) -> WorkDay:
        return self.work.setdefault(stage, {}).setdefault(day, WorkDay())

    def _charge_training(
        self, stage: str, run: str, day: str, spent: tuple[int, str], *, foreign: bool = False
    ) -> None:
        by_run = self.trainings.setdefault(stage, {})
        own = by_run.setdefault(run, TrainingSpending(foreign=foreign))
        amount, other = spent
        own.days[day] = own.days.get(day, 0) + amount
        own.omitted |= {other} - {""}

    def _publish(self, fact: RecordedEvent, _: PriceHistories) -> None:
        event: Any = fact.event
        binding = event.binding
        artifact = binding.product.artifact
        if artifact is not None:
            self.artifacts.setdefault(artifact.id, (event.stage, binding.run))
        if isinstance(event, Published) and self._is_here(event):
            self.parents[event.stage] = [name for name in binding.inputs if name != event.stage]
            if binding.model:
                self.scoring[event.stage] = binding.model

    def _deliver(self, fact: RecordedEvent, _: PriceHistories) -> None:
        event: Any = fact.event
        if self._is_here(event):
            delivery = event.delivery
            self.deliveries.setdefault(delivery.name, []).append((fact.at, delivery.artifact.id))

    def _store(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        if not self._is_here(event):
            return
        day, price = (
            local_day(fact.at, self.zone),
            prices.of(event.environment).price(fact.seq, fact.at),
        )
        for stage, used in storage_quantities(event, fact.at):
            if amount := self._amount(used, price, day):
                self._work_day(stage, day).stored += amount

    def _serve(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        if not self._is_here(event):
            return
        day = local_day(event.until, self.zone)
        price = served_price(event, prices.of(event.environment).price(fact.seq, event.until))
        for usage in event.usages:
            by_version = self.served.setdefault(usage.endpoint, {})
            own = by_version.setdefault(usage.version, {}).setdefault(day, ServedDay())
            own.predictions += usage.rows
            own.serving += self._amount(request_quantities(usage), price, day)
            own.idle += self._amount(idle_quantities(usage), price, day)


def _has_computed(attempt: Attempt) -> bool:
    return attempt.outcome is Outcome.OK and attempt.action in (Action.RUN, Action.DELIVER)


def _drop_before(tables: dict[str, dict[str, Any]], first: str) -> None:
    for key, days in [*tables.items()]:
        if next(iter(days), "") >= first:
            # Of most there is nothing that old. One that a clock put out of order is forgotten later.
            continue
        tables[key] = {day: each for day, each in days.items() if day >= first}
        if not tables[key]:
            del tables[key]


_HANDLERS: Mapping[type, Callable[[InferenceCosts, RecordedEvent, PriceHistories], None]] = {
    EnvironmentCreated: InferenceCosts._end_environment,
    EnvironmentDropped: InferenceCosts._end_environment,
    RunStarted: InferenceCosts._start_run,
    RunEnded: InferenceCosts._end_run,
    Attempted: InferenceCosts._add_attempt,
    Published: InferenceCosts._publish,
    Computed: InferenceCosts._publish,
    Delivered: InferenceCosts._deliver,
    Served: InferenceCosts._serve,
    StorageMetered: InferenceCosts._store,
}

# The kinds of events that costs are derived from.
COST_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
