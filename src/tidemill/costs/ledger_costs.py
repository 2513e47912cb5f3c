"""Add up the costs of a workflow from its events, as they are read.

What was read is never read again: the sums by environment, day and line are all that later figures need, and
they are stored between commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.costs.allocation import divide_quantities
from tidemill.costs.cost_line import CostLine, LineKind
from tidemill.costs.price_history import PriceHistories
from tidemill.costs.quantities import (
    Quantities,
    attempt_quantities,
    idle_quantities,
    request_quantities,
    storage_quantities,
)
from tidemill.ledger.cost_events import StorageMetered
from tidemill.ledger.event import Attempted, RecordedEvent, RunEnded, RunStarted, Served
from tidemill.ledger.price import Price
from tidemill.ledger.run import FAULTS, Action, Attempt, Outcome, Status

# Of a day, by kind and name; the name of a version at an endpoint is that of both.
DayLines = dict[str, dict[str, CostLine]]
BESIDE = "@"
_ESTIMATES_KEPT = 50
_MODEL_ACTIONS = (Action.TRAIN, Action.TRIAL)


@dataclass(slots=True, kw_only=True)
class OpenRun:
    """A run that hasn't ended: the prices when it began, and what its steps used by stage."""

    environment: str
    price: Price
    stages: dict[str, Quantities] = field(default_factory=dict)


class EstimatedRun(NamedTuple):
    """A run that ended at a time (Unix seconds): what it was estimated to cost, and what it did cost."""

    at: float
    estimate: float
    cost: float


@dataclass(slots=True, kw_only=True)
class LedgerCosts:
    """The costs of a workflow up to event `seq`, which was recorded at `at` (Unix seconds).

    `days` are sums by environment, day in the time zone `zone`, and line, and `changed` are the numbers of
    the events that changed these days last, where that is known. `models` are the stages that ever
    trained one. `estimates` are the last successful runs that were estimated, by environment. A run costs
    what the prices were when it began, on the days on which its steps ended.
    """

    zone: str
    seq: int = 0
    at: float = 0.0
    events: int = 0
    days: dict[str, dict[str, DayLines]] = field(default_factory=dict)
    changed: dict[str, dict[str, int]] = field(default_factory=dict)
    open_runs: dict[str, OpenRun] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    estimates: dict[str, list[EstimatedRun]] = field(default_factory=dict)

    def note(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add an event; those of other kinds only move `seq`."""
        self.seq, self.at = fact.seq, fact.at
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            self.events += 1
            handler(self, fact, prices)

    def priced(self) -> set[str]:
        """The environments whose prices the sums depend on."""
        return {*self.days, *(run.environment for run in self.open_runs.values())}

    def _line(self, environment: str, at: float, kind: LineKind, name: str) -> CostLine:
        by_day, day = self.days.setdefault(environment, {}), local_day(at, self.zone)
        self.changed.setdefault(environment, {})[day] = self.seq
        lines = by_day.setdefault(day, {}).setdefault(kind.value, {})
        return lines.setdefault(name, CostLine())

    def _start_run(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        price = prices.of(event.environment).price(fact.seq, fact.at)
        self.open_runs[event.run] = OpenRun(environment=event.environment, price=price)

    def _add_attempt(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        attempt: Attempt = event.attempt
        run = self.open_runs.get(event.run)
        used = attempt_quantities(attempt)
        if run is not None:
            run.stages.setdefault(attempt.stage, Quantities()).add(used)
        if attempt.action in _MODEL_ACTIONS:
            self.models.add(attempt.stage)
        history = prices.of(event.environment)
        price = run.price if run is not None else history.price(fact.seq, fact.at)
        line = self._line(event.environment, fact.at, LineKind.STAGE, attempt.stage)
        line.events += _has_begun(attempt)
        line.charge(used, price, has_failed=attempt.outcome in FAULTS)

    def _end_run(self, fact: RecordedEvent, _: PriceHistories) -> None:
        """Allocate what a run used beside its steps; that of a run whose process died isn't known."""
        event: Any = fact.event
        run = self.open_runs.pop(event.run, None)
        if run is None or event.receipt is None:
            return
        receipt, steps = event.receipt, Quantities()
        if receipt.estimated_cost is not None and receipt.status is Status.OK:
            runs = self.estimates.setdefault(run.environment, [])
            runs.append(EstimatedRun(fact.at, receipt.estimated_cost, receipt.cost))
            del runs[:-_ESTIMATES_KEPT]
        for used in run.stages.values():
            steps.add(used)
        metered = Quantities(cpu_s=receipt.cpu_s, memory_gb_s=receipt.memory_gb_s)
        beside = metered.beyond(steps)
        parts = divide_quantities(beside, run.stages)
        for stage, part in parts.items():
            line = self._line(run.environment, fact.at, LineKind.STAGE, stage)
            line.charge(part, run.price, is_shared=True)
        if not parts and (beside.cpu_s or beside.memory_gb_s):
            line = self._line(run.environment, fact.at, LineKind.RUN, "")
            line.charge(beside, run.price, is_shared=True)

    def _serve(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        price = served_price(event, prices.of(event.environment).price(fact.seq, event.until))
        for usage in event.usages:
            name = f"{usage.endpoint}{BESIDE}{usage.version}"
            line = self._line(event.environment, event.until, LineKind.ENDPOINT, name)
            line.events += 1
            line.rows += usage.rows
            line.charge(request_quantities(usage), price)
            line.charge(idle_quantities(usage), price, is_shared=True)

    def _store(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        event: Any = fact.event
        price = prices.of(event.environment).price(fact.seq, fact.at)
        for name, used in storage_quantities(event, fact.at):
            line = self._line(event.environment, fact.at, LineKind.STORAGE, name)
            line.charge(used, price)


def _has_begun(attempt: Attempt) -> bool:
    """Whether something was tried: what was skipped, or a budget held back, wasn't."""
    is_held = attempt.outcome is Outcome.STOPPED and not attempt.wall_s
    return attempt.outcome is not Outcome.SKIPPED and not is_held


def served_price(event: Served, recorded: Price) -> Price:
    """The prices of a period that was served: its own, or those `recorded` then if the server had none."""
    if not event.cpu_hour and not event.memory_gb_hour:
        return recorded
    return Price(
        cpu_hour=event.cpu_hour,
        memory_gb_hour=event.memory_gb_hour,
        currency=event.currency or recorded.currency,
    )


_HANDLERS: Mapping[type, Callable[[LedgerCosts, RecordedEvent, PriceHistories], None]] = {
    RunStarted: LedgerCosts._start_run,
    Attempted: LedgerCosts._add_attempt,
    RunEnded: LedgerCosts._end_run,
    Served: LedgerCosts._serve,
    StorageMetered: LedgerCosts._store,
}

# The kinds of events that cost something.
COST_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
