"""Derive the metrics of one environment from its events, as they are read.

What was read is never read again: the sums, counts and series here are all that later figures need, and they
are stored between commands. Messages of attempts don't count: a compacted ledger gives the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.costs.ledger_costs import served_price
from tidemill.costs.price_history import PriceHistory
from tidemill.history.stage_performance import AttemptTally, is_computation
from tidemill.ledger.event import (
    Attempted,
    EnvironmentCreated,
    EnvironmentDropped,
    Published,
    RecipeChanged,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
    Served,
    Settled,
    SourceSeen,
)
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Attempt, Outcome
from tidemill.ledger.usage import ServedUsage
from tidemill.operations.arrivals import ArrivalTimes
from tidemill.operations.endpoint_tally import (
    EndpointTally,
    failed_requests,
    slow_requests,
)
from tidemill.operations.failure_detector import FailureDetector
from tidemill.operations.objective_settings import DAY, Objective, ObjectiveKind
from tidemill.operations.outcome_counts import OutcomeCounts
from tidemill.operations.run_series import RunSeries, is_comparable
from tidemill.operations.stage_failures import (
    StageFailure,
    add_attempt,
    end_run,
    repair_partition,
)
from tidemill.operations.watermarks import StageWatermark, publish_partition

# How far back events matter to the baselines of anomalies, and days are shown.
HORIZON_S, DAYS_KEPT = 196 * DAY, 35
_WORKED = (Outcome.OK, Outcome.FAILED)


@dataclass(slots=True, kw_only=True)
class LedgerMetrics:
    """The metrics of an environment up to event `seq`, which was recorded at `at`; times are Unix seconds.

    Days are those of the time zone `zone`. `totals` are sums over all events since `since`, `days` those of
    the last days by stage and day. `delays` counts by stage and day the seconds from the arrival of data to
    their publication, by their first three digits. `counts` and `detectors` are by objective. `book` prices
    what was before any book was recorded. `changes` has the number of the last event that changed a figure
    of each stage.
    """

    environment: str
    zone: str
    objectives: tuple[Objective, ...] = ()
    since: float = 0.0
    seq: int = 0
    at: float = 0.0
    events: int = 0
    totals: dict[str, AttemptTally] = field(default_factory=dict)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    days: dict[str, dict[str, AttemptTally]] = field(default_factory=dict)
    delays: dict[str, dict[str, dict[float, int]]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, EndpointTally]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    book: PriceBook = field(default_factory=PriceBook)
    open_runs: dict[str, Price] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    arrivals: ArrivalTimes = field(default_factory=ArrivalTimes)
    watermarks: dict[str, StageWatermark] = field(default_factory=dict)
    failing: dict[str, StageFailure] = field(default_factory=dict)
    series: dict[str, dict[str, RunSeries]] = field(default_factory=dict)
    counts: dict[str, OutcomeCounts] = field(default_factory=dict)
    detectors: dict[str, FailureDetector] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)

    def note(self, fact: RecordedEvent, prices: PriceHistory | None = None) -> None:
        """Add an event, with what it costs; those of other environments and kinds only move `seq`."""
        self.seq, self.at = fact.seq, fact.at
        handler = _HANDLERS.get(type(fact.event))
        priced = _PRICED.get(type(fact.event))
        if (handler or priced) is None or getattr(fact.event, "environment", self.environment) != (
            self.environment
        ):
            return
        self.events += 1
        if handler is not None:
            handler(self, fact.event, fact.at)
        if priced is not None:
            history = prices or PriceHistory(books=((0, self.book),))
            priced(self, fact.event, fact.at, history.price(fact.seq, fact.at))

    def prune(self, now: float) -> None:
        """Forget what is too old for any figure."""
        first = local_day(now - DAYS_KEPT * DAY, self.zone)
        tables: tuple[dict[str, dict[str, Any]], ...] = (self.days, self.delays, self.endpoints)
        for table in tables:
            for by_day in table.values():
                for day in [day for day in by_day if day < first]:
                    del by_day[day]
        windows = {objective.name: objective.window for objective in self.objectives}
        for name, counts in self.counts.items():
            counts.prune(now, windows.get(name, 0.0))
        longest = max(windows.values(), default=0.0)
        for watermark in self.watermarks.values():
            watermark.prune(now - max(longest, DAY))

    def _end_environment(self, _: EnvironmentCreated | EnvironmentDropped, __: float) -> None:
        """Forget the state of an environment of the same name; sums go on."""
        self.changes |= dict.fromkeys(self.watermarks, self.seq)
        self.watermarks, self.failing, self.series = {}, {}, {}
        self.arrivals, self.published = ArrivalTimes(), {}

    def _start_run(self, event: RunStarted, _: float, price: Price) -> None:
        self.open_runs[event.run] = price
        self.arrivals.begin_run()

    def _end_run(self, event: RunEnded, _: float) -> None:
        if event.run not in self.open_runs:
            return  # of another environment
        del self.open_runs[event.run]
        end_run(self.failing, event.receipt)
        self.runs[event.status] = self.runs.get(event.status, 0) + 1
        for by_action in self.series.values():
            for series in by_action.values():
                if series.open_run == event.run:
                    series.close(self.zone)

    def _add_attempt(self, event: Attempted, at: float, price: Price) -> None:
        attempt, day = event.attempt, local_day(at, self.zone)
        self.changes[attempt.stage] = self.seq
        # A run costs what the prices were when it began.
        price = self.open_runs.get(event.run, price)
        tallies = self.days.setdefault(attempt.stage, {})
        for tally in (
            self.totals.setdefault(attempt.stage, AttemptTally()),
            tallies.setdefault(day, AttemptTally()),
        ):
            tally.add(event.run, attempt, price)
        counts = self.outcomes.setdefault(attempt.stage, {})
        counts[attempt.outcome] = counts.get(attempt.outcome, 0) + 1
        add_attempt(self.failing, event.run, attempt, at)
        self._count_step(attempt, at)
        if is_comparable(attempt):
            series = self.series.setdefault(attempt.stage, {})
            if attempt.action not in series:
                series[attempt.action] = RunSeries()
            series[attempt.action].add(event.run, attempt, at, self.zone)

    def _count_step(self, attempt: Attempt, at: float) -> None:
        if not is_computation(attempt) or attempt.outcome not in _WORKED:
            return
        for objective in self.objectives:
            if objective.kind is ObjectiveKind.SUCCESS and objective.subject == attempt.stage:
                is_bad = attempt.outcome is Outcome.FAILED
                self._count(objective, at, good=not is_bad, bad=is_bad)

    def _count(self, objective: Objective, at: float, *, good: int, bad: int) -> None:
        self.counts.setdefault(objective.name, OutcomeCounts()).add(at, good, bad)
        detector = self.detectors.setdefault(
            objective.name, FailureDetector(allowed=objective.allowed)
        )
        detector.add(at, good=good, bad=bad)

    def _publish(self, event: Published, at: float) -> None:
        stage, partition = event.stage, event.partition
        self.changes[stage] = self.seq
        delay = self.arrivals.delay(stage, partition, at)
        if delay is not None:
            counts = self.delays.setdefault(stage, {}).setdefault(local_day(at, self.zone), {})
            digits = float(f"{delay:.3g}")
            counts[digits] = counts.get(digits, 0) + 1
        self.published[stage] = at
        repair_partition(self.failing, stage, partition)
        publish_partition(self.watermarks, stage, partition, event.binding, at, self.zone)

    def _remove(self, event: Removed, at: float) -> None:
        repair_partition(self.failing, event.stage, event.partition)
        if event.stage in self.watermarks:
            self.changes[event.stage] = self.seq
            self.watermarks[event.stage].remove(event.partition, at)

    def _change_recipe(self, event: RecipeChanged, _: float) -> None:
        self.series.pop(event.stage, None)

    def _see_source(self, event: SourceSeen, at: float) -> None:
        self.arrivals.see(event.stage, event.files, at)

    def _settle(self, event: Settled, _: float) -> None:
        self.failing.pop(event.stage, None)

    def _serve(self, event: Served, _: float, price: Price) -> None:
        day, price = local_day(event.until, self.zone), served_price(event, price)
        for usage in event.usages:
            by_day = self.endpoints.setdefault(usage.endpoint, {})
            by_day.setdefault(day, EndpointTally()).add(usage, price)
            for objective in self.objectives:
                if objective.stage or objective.subject != usage.endpoint:
                    continue
                total, bad = _requests(usage, objective)
                self._count(objective, event.until, good=max(0, total - bad), bad=bad)


def _requests(usage: ServedUsage, objective: Objective) -> tuple[int, int]:
    """All requests, and those that don't meet an objective."""
    if objective.kind is ObjectiveKind.LATENCY:
        return sum(usage.latency), slow_requests(usage, objective.limit)
    return usage.requests, failed_requests(usage)


_HANDLERS: Mapping[type, Callable[[LedgerMetrics, Any, float], None]] = {
    EnvironmentCreated: LedgerMetrics._end_environment,
    EnvironmentDropped: LedgerMetrics._end_environment,
    RunEnded: LedgerMetrics._end_run,
    Published: LedgerMetrics._publish,
    Removed: LedgerMetrics._remove,
    RecipeChanged: LedgerMetrics._change_recipe,
    SourceSeen: LedgerMetrics._see_source,
    Settled: LedgerMetrics._settle,
}
_PRICED: Mapping[type, Callable[[LedgerMetrics, Any, float, Price], None]] = {
    RunStarted: LedgerMetrics._start_run,
    Attempted: LedgerMetrics._add_attempt,
    Served: LedgerMetrics._serve,
}

# The kinds of events that metrics are derived from.
KINDS = tuple(sorted(kind.__name__ for kind in (*_HANDLERS, *_PRICED)))
