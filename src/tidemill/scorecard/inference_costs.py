"""Sum up what predictions cost, from the events of an environment as they are read.

What was spent is kept in billionths of the currency by day, so that sums are the same in whatever order
they are made. Trainings are kept by run: that of a version is spread over the time in which it is live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.core.local_day import local_day
from tidemill.history.stage_performance import whole_units
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
from tidemill.operations.endpoint_tally import served_price
from tidemill.serving.metering import split

NANO = 1_000_000_000
_MICRO = 1_000_000
_TRAINED = (Action.TRAIN, Action.TRIAL)
_OF_TRAINING = (*_TRAINED, Action.EVALUATE, Action.GATE)


@dataclass(slots=True, kw_only=True)
class ServedDay:
    """What a version served at an endpoint on a day, and what that cost."""

    predictions: int = 0
    serving: int = 0
    idle: int = 0


@dataclass(slots=True, kw_only=True)
class WorkDay:
    """What a stage's steps cost on a day, and how many rows they computed."""

    spent: int = 0
    rows: int = 0


@dataclass(slots=True, kw_only=True)
class TrainingSpending:
    """What a stage spent in a run to train, search, evaluate or judge a model, by day.

    Of another environment it counts only where its version is live.
    """

    days: dict[str, int] = field(default_factory=dict)
    foreign: bool = False


@dataclass(slots=True, kw_only=True)
class RunSpending:
    """The CPU time (microseconds) of the attempts of an open run, by what they are charged to."""

    work: dict[str, int] = field(default_factory=dict)
    training: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class InferenceCosts:
    """What was spent in an environment, and on what; days are those of the time zone `zone`.

    `artifacts` are the model and the run of each version, `deliveries` by model the versions that went live
    and when. `parents` are the inputs of stages, `scoring` the models of the tables that they score, and
    `tables` the delivered tables.
    """

    environment: str
    zone: str
    price: Price
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

    def add(self, fact: RecordedEvent) -> None:
        """Add an event; those of other kinds change nothing."""
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            handler(self, fact.event, fact.at)

    def prune(self, first: str) -> None:
        """Forget the days before a day, and the trainings of versions that nobody uses any more."""
        for by_version in self.served.values():
            _drop_before(by_version, first)
        _drop_before(self.work, first)
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

    def _end_environment(self, event: EnvironmentCreated | EnvironmentDropped, at: float) -> None:
        if self._is_here(event):
            self.parents, self.scoring = {}, {}
            for own in self.deliveries.values():
                own.append((at, ""))

    def _start_run(self, event: RunStarted, _: float) -> None:
        if self._is_here(event):
            self.runs[event.run] = RunSpending()

    def _end_run(self, event: RunEnded, at: float) -> None:
        """Charge what a run used beside its attempts to what these are charged to."""
        own = self.runs.pop(event.run, None)
        if own is None or event.receipt is None:
            return
        used = sum(own.work.values()) + sum(own.training.values())
        rest = max(0, whole_units(event.receipt.cpu_s, _MICRO) - used)
        spent = whole_units(self.price.of(rest / _MICRO), NANO)
        weights = [*own.work.values(), *own.training.values()]
        day = local_day(at, self.zone)
        if not weights:
            self._charge_work("", day, spent)
            return
        parts = iter(split(spent, weights))
        for stage in own.work:
            self._charge_work(stage, day, next(parts))
        for stage in own.training:
            self._charge_training(stage, event.run, day, next(parts))

    def _add_attempt(self, event: Attempted, at: float) -> None:
        attempt, here = event.attempt, self._is_here(event)
        if not here and attempt.action not in _TRAINED:
            return
        day, spent = local_day(at, self.zone), self._cost_of(attempt)
        run = self.runs.get(event.run, RunSpending()) if here else RunSpending()
        cpu = whole_units(attempt.cpu_s, _MICRO)
        if attempt.action in _OF_TRAINING:
            self._charge_training(attempt.stage, event.run, day, spent, foreign=not here)
            run.training[attempt.stage] = run.training.get(attempt.stage, 0) + cpu
            if attempt.action == Action.EVALUATE:
                self.evaluations.add(attempt.stage)
            return
        rows = attempt.rows_out if _has_computed(attempt) else 0
        if attempt.action == Action.DELIVER:
            self.tables.add(attempt.stage)
        self._charge_work(attempt.stage, day, spent, rows)
        run.work[attempt.stage] = run.work.get(attempt.stage, 0) + cpu

    def _cost_of(self, attempt: Attempt) -> int:
        memo = attempt.memo.spent if attempt.memo is not None else 0.0
        return whole_units(self.price.of(attempt.cpu_s), NANO) + whole_units(memo, NANO)

    def _charge_work(self, stage: str, day: str, spent: int, rows: int = 0) -> None:
        if spent or rows:
            own = self.work.setdefault(stage, {}).setdefault(day, WorkDay())
            own.spent += spent
            own.rows += rows

    def _charge_training(
        self, stage: str, run: str, day: str, spent: int, *, foreign: bool = False
    ) -> None:
        by_run = self.trainings.setdefault(stage, {})
        own = by_run.setdefault(run, TrainingSpending(foreign=foreign))
        own.days[day] = own.days.get(day, 0) + spent

    def _publish(self, event: Published | Computed, _: float) -> None:
        binding = event.binding
        artifact = binding.product.artifact
        if artifact is not None:
            self.artifacts.setdefault(artifact.id, (event.stage, binding.run))
        if isinstance(event, Published) and self._is_here(event):
            self.parents[event.stage] = [name for name in binding.inputs if name != event.stage]
            if binding.model:
                self.scoring[event.stage] = binding.model

    def _deliver(self, event: Delivered, at: float) -> None:
        if self._is_here(event):
            delivery = event.delivery
            self.deliveries.setdefault(delivery.name, []).append((at, delivery.artifact.id))

    def _serve(self, event: Served, _: float) -> None:
        if not self._is_here(event):
            return
        day, price = local_day(event.until, self.zone), served_price(event)
        for usage in event.usages:
            by_version = self.served.setdefault(usage.endpoint, {})
            own = by_version.setdefault(usage.version, {}).setdefault(day, ServedDay())
            own.predictions += usage.rows
            own.serving += whole_units(price.of(usage.cpu_s), NANO)
            own.idle += whole_units(price.of(usage.idle_cpu_s, usage.memory_gb_s), NANO)


def _has_computed(attempt: Attempt) -> bool:
    return attempt.outcome is Outcome.OK and attempt.action in (Action.RUN, Action.DELIVER)


def _drop_before(tables: dict[str, dict[str, Any]], first: str) -> None:
    for key, days in [*tables.items()]:
        tables[key] = {day: each for day, each in days.items() if day >= first}
        if not tables[key]:
            del tables[key]


_HANDLERS: Mapping[type, Callable[[InferenceCosts, Any, float], None]] = {
    EnvironmentCreated: InferenceCosts._end_environment,
    EnvironmentDropped: InferenceCosts._end_environment,
    RunStarted: InferenceCosts._start_run,
    RunEnded: InferenceCosts._end_run,
    Attempted: InferenceCosts._add_attempt,
    Published: InferenceCosts._publish,
    Computed: InferenceCosts._publish,
    Delivered: InferenceCosts._deliver,
    Served: InferenceCosts._serve,
}

# The kinds of events that costs are derived from.
COST_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
