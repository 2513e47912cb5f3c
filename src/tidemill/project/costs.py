"""What a project costs: by stage, model, endpoint, environment and day, all from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from tidemill.core.fingerprint import fingerprint
from tidemill.costs.cost_line import CostLine as CostLine
from tidemill.costs.day_range import DayRange, parse_days
from tidemill.costs.day_totals import DayTotals
from tidemill.costs.estimate_errors import EstimateErrors, estimate_errors
from tidemill.costs.io.sums_reader import CostReader
from tidemill.costs.ledger_costs import LedgerCosts
from tidemill.costs.price_history import PriceHistory
from tidemill.costs.report import (
    CostReport as CostReport,
)
from tidemill.costs.report import (
    CostRow as CostRow,
)
from tidemill.costs.report import (
    DatedLine as DatedLine,
)
from tidemill.costs.report import (
    GroupBy,
    ModelNames,
    dated_lines,
    group_lines,
    lines_by_group,
    sum_groups,
)
from tidemill.governance.permissions import Permission
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.ports.ledger import Ledger
from tidemill.project.settings import Settings
from tidemill.project.workspace import Workspace
from tidemill.workflow.stage import Flow, Kind, evaluations_of

SINCE = "28d"


class Costs:
    """Reads the costs of all environments of a workspace; AccessError if the actor may not read."""

    def __init__(self, workspace: Workspace) -> None:
        workspace.require(Permission.READ)
        self._workspace = workspace
        self._reader = open_costs(
            workspace.tools.ledger, workspace.settings, workflow=workspace.declared.name
        )
        self._totals = DayTotals()

    def read(self) -> LedgerCosts:
        """The sums of all costs; the caller must not change them."""
        return self._reader.read()

    def report(
        self,
        by: GroupBy | str = GroupBy.STAGE,
        *,
        since: str | float = SINCE,
        everywhere: bool = False,
    ) -> CostReport:
        """Costs of the days that `since` names, in one environment or everywhere.

        These are `today`, `this-month`, `last-month`, a month such as `2013-03`, or the last days, such as
        `28d`. UsageError for others.
        """
        by = GroupBy(by)
        space, costs = self._workspace, self._reader.read()
        days, now = self._days(since), space.tools.clock()
        environment = None if everywhere else space.environment
        lines = lines_by_group(costs, by, days, environment, model_names(space.declared))
        rows, total = sum_groups(by, lines)
        prices = self._reader.prices()
        names = tuple(sorted(costs.days)) if everywhere else (space.environment,)
        priced = {
            unit
            for name in names
            for _, book in prices.of(name).books
            for price in book.prices
            for unit in price.units
        }
        return CostReport(
            by=by,
            days=days,
            zone=costs.zone,
            now=now,
            environments=names,
            rows=rows,
            total=total,
            is_priced=any(not book.is_free for name in names for _, book in prices.of(name).books),
            unpriced=tuple(sorted({*total.used.units} - priced)),
            estimates=errors_in(costs, environment),
            lines=lines,
        )

    def daily(self, *, since: str | float = SINCE) -> Mapping[str, Mapping[str, CostLine]]:
        """What each environment costs on each day on which it used something."""
        return self._totals.read(self._reader.read(), self._days(since))

    def rows(self, days: DayRange) -> tuple[CostRow, ...]:
        """The costs of some days by stage, of the environment."""
        space = self._workspace
        names = model_names(space.declared)
        found, _ = group_lines(self._reader.read(), GroupBy.STAGE, days, space.environment, names)
        return found

    def lines(self, *, since: str | float = SINCE, everywhere: bool = False) -> list[DatedLine]:
        """Every line of the days that `since` names, by environment and day."""
        environment = None if everywhere else self._workspace.environment
        return [*dated_lines(self._reader.read(), self._days(since), environment)]

    def prices(self) -> PriceHistory:
        """The prices of the environment, as they were recorded; those of the settings if none were."""
        return self._reader.prices().of(self._workspace.environment)

    def _days(self, since: str | float) -> DayRange:
        space = self._workspace
        return parse_days(since, space.tools.clock(), space.settings.metrics.zone)


def errors_in(costs: LedgerCosts, environment: str | None) -> EstimateErrors:
    """The errors of the estimates of the last runs of an environment, or of all together."""
    found = costs.estimates
    runs = chain(*found.values()) if environment is None else found.get(environment, ())
    return estimate_errors((each.estimate, each.cost) for each in sorted(runs))


def open_costs(ledger: Ledger, settings: Settings, *, workflow: str) -> CostReader:
    """The reader of the costs of a workflow."""
    prefix = workflow_prefix(workflow).rstrip("/")
    return CostReader(
        ledger,
        zone=settings.metrics.zone,
        settings=settings.price_book,
        kept=_kept_in(settings.root / settings.home, prefix),
    )


def model_names(flow: Flow) -> ModelNames:
    """The models that stages and endpoints of a workflow belong to."""
    stages = {stage.name: stage.name for stage in flow.stages if stage.kind is Kind.MODEL}
    for model in tuple(stages):
        # What scores rows with it belongs to it as well.
        stages |= {each.name: model for each in evaluations_of(flow, model)}
        stages |= {each.name: model for each in flow.stages if each.model == model}
    endpoints = {each.name: each.model for each in flow.endpoints}
    return ModelNames(stages=stages, endpoints=endpoints)


def _kept_in(home: Path, workflow: str) -> Path:
    """The file in which the sums of a workflow are kept."""
    return home / "metrics" / f"{fingerprint('costs', workflow)[:16]}.bin"
