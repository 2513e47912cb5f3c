"""The metrics of a project's environment: figures of stages, objectives, problems, all from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import day_start, local_day
from tidemill.core.partition import parse_span
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import Attempted
from tidemill.ledger.price import Price
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.operations.io.metrics_reader import MetricsReader, find_window
from tidemill.operations.ledger_metrics import DAYS_KEPT, LedgerMetrics
from tidemill.operations.objective_settings import DAY
from tidemill.operations.objectives import ObjectiveStatus, judge_objectives
from tidemill.operations.problem import Problem
from tidemill.operations.problems import find_problems
from tidemill.operations.stage_families import estimate_families, stage_families
from tidemill.operations.stage_figures import (
    EndpointFigures,
    FiguresByStage,
    StageFigures,
    endpoint_figures,
    figures_by_day,
    figures_of,
    tally_attempts,
)
from tidemill.planning.freshness import freshness_rules
from tidemill.ports.ledger import Ledger
from tidemill.project.costs import errors_in, open_costs
from tidemill.project.settings import Settings
from tidemill.project.workspace import Workspace
from tidemill.serving.metric_families import Family
from tidemill.serving.metrics_text import metrics_text
from tidemill.workflow.stage import Flow

SINCE_S = 28 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReport:
    """Figures since the day `first_day` of the time zone `zone` began, as of `now` (Unix seconds)."""

    first_day: str
    zone: str
    now: float
    stages: list[StageFigures]
    endpoints: list[EndpointFigures]


class Metrics:
    """Reads the metrics of an environment from its ledger, and remembers what it read.

    It needs no workflow: whatever watches a project may keep one. `freshness` has the age in seconds that the
    data of each stage may have by its contract.
    """

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        settings: Settings,
        *,
        workflow: str,
        clock: Callable[[], float],
        freshness: Mapping[str, float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._environment = environment
        self._workflow = workflow_prefix(workflow).rstrip("/")
        self._clock = clock
        self._freshness = freshness or {}
        self._book = settings.price_book
        self._zone = settings.metrics.zone
        self._reader = MetricsReader(
            ledger,
            environment,
            zone=self._zone,
            objectives=settings.slo,
            kept=_kept_in(settings.root / settings.home, self._workflow, environment),
            prices=self._book,
        )
        self._costs = open_costs(ledger, settings, workflow=workflow)
        self._by_stage = FiguresByStage()

    def read(self) -> LedgerMetrics:
        """The metrics as of now; the caller must not change them."""
        return self._reader.read(self._clock())

    def report(self, since_s: float = SINCE_S) -> MetricsReport:
        """The figures of each stage and endpoint over the last days, which begin that many seconds ago."""
        first, now = self._first_day(since_s)
        metrics = self._metrics(first, now)
        stages = self._by_stage.read(metrics, first, self._price)
        return self._report(first, now, stages, endpoint_figures(metrics, first, self._price))

    def by_day(self, stage: str, since_s: float = SINCE_S) -> MetricsReport:
        """The figures of each day of a stage."""
        first, now = self._first_day(since_s)
        days = figures_by_day(self._metrics(first, now), stage, first, self._price)
        return self._report(first, now, days, [])

    def by_partition(self, stage: str, since_s: float = SINCE_S) -> MetricsReport:
        """The figures of each partition of a stage, from attempts of the last days."""
        first, now = self._first_day(since_s)
        start = day_start(first, self._zone)
        facts = self._ledger.events(
            kinds=(Attempted.__name__,), stage=stage, after=find_window(self._ledger, start)
        )
        tallies = tally_attempts(
            facts,
            key=lambda event: event.attempt.partition,
            wanted=lambda fact, event: event.environment == self._environment and fact.at >= start,
            prices=self._reader.prices(),
        )
        return self._report(first, now, figures_of(stage, tallies.get(stage, {}), self._price), [])

    def objectives(self) -> tuple[ObjectiveStatus, ...]:
        """How each objective of the settings is met now."""
        now = self._clock()
        return judge_objectives(self._reader.read(now), now)

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with stages and objectives now."""
        now = self._clock()
        return find_problems(self._reader.read(now), now, self._freshness)

    def families(self) -> list[Family]:
        """The metrics as Prometheus and OpenTelemetry take them."""
        now = self._clock()
        metrics = self._reader.read(now)
        problems = find_problems(metrics, now, self._freshness)
        label = {"workflow": self._workflow, "environment": self._environment}
        errors = errors_in(self._costs.read(), self._environment)
        return [
            *stage_families(metrics, problems, now, self._workflow),
            *estimate_families(errors, label),
        ]

    @property
    def _price(self) -> Price:
        """Today's prices."""
        return self._book.at(self._clock())

    def prometheus_text(self) -> str:
        """The metrics in the text format of Prometheus."""
        return metrics_text(self.families())

    def _first_day(self, since_s: float) -> tuple[str, float]:
        now = self._clock()
        return local_day(now - since_s, self._zone), now

    def _metrics(self, first: str, now: float) -> LedgerMetrics:
        """The metrics with all days from the first on; only those of the last weeks are kept."""
        if first >= local_day(now - DAYS_KEPT * DAY, self._zone):
            return self._reader.read(now)
        return self._reader.read_since(day_start(first, self._zone))

    def _report(
        self,
        first: str,
        now: float,
        stages: list[StageFigures],
        endpoints: list[EndpointFigures],
    ) -> MetricsReport:
        return MetricsReport(
            first_day=first, zone=self._zone, now=now, stages=stages, endpoints=endpoints
        )


def open_metrics(workspace: Workspace) -> Metrics:
    """The metrics of a workspace; AccessError if the actor may not read."""
    workspace.require(Permission.READ)
    return Metrics(
        workspace.tools.ledger,
        workspace.environment,
        workspace.settings,
        workflow=workspace.declared.name,
        clock=workspace.tools.clock,
        freshness=freshness_limits(workspace.declared),
    )


def freshness_limits(flow: Flow) -> dict[str, float]:
    """The age in seconds that the data of each stage may have by the strictest rule of its contract."""
    found: dict[str, float] = {}
    for stage in flow.stages:
        for rule in freshness_rules(stage):
            seconds = _span_seconds(rule.within)
            found[stage.name] = min(seconds, found.get(stage.name, seconds))
    return found


def _span_seconds(text: str) -> float:
    """The length of a span in seconds; a month has 31 days, so that a limit is never reached too early."""
    span = parse_span(text)
    return span.count * {"h": 3600.0, "d": DAY, "w": 7 * DAY, "mo": 31 * DAY}[span.unit]


def _kept_in(home: Path, workflow: str, environment: str) -> Path:
    """The file in which the metrics of an environment are kept."""
    return home / "metrics" / f"{fingerprint('metrics', workflow, environment)[:16]}.bin"
