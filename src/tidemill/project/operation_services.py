"""The services of a project that operate it: what runs by itself, and what is watched."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tidemill.governance.permissions import Permission
from tidemill.planning.request import Request
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.governance.page_values import ReviewPage
    from tidemill.history.io.runs import History
    from tidemill.ledger.run import Receipt
    from tidemill.planning.plan import Plan
    from tidemill.project.alerts import Alerts
    from tidemill.project.change_review import ChangeReviews
    from tidemill.project.costs import Costs
    from tidemill.project.incidents import Incidents
    from tidemill.project.metrics import Metrics
    from tidemill.project.plans import Plans
    from tidemill.project.promotion_preview import PromotionPreview
    from tidemill.project.reports import Reports
    from tidemill.project.retention import Retention
    from tidemill.project.runbook import Runbooks
    from tidemill.project.runs import Runs
    from tidemill.project.schedules import ProjectSchedules
    from tidemill.project.scorecard import Scorecards
    from tidemill.project.sharing import Sharing
    from tidemill.project.stage_cases import StageCases
    from tidemill.project.stage_states import StageStates
    from tidemill.project.statuses import Statuses
    from tidemill.project.table_totals import PublishedTotals
    from tidemill.project.weekly_notes import WeeklyNotes


class OperationServices:
    """A base of `Project` with the services that operate it, which are imported when they are first used."""

    workspace: Workspace

    @property
    def history(self) -> History:
        """Past runs: their attempts and logs, and the performance of stages."""
        self.workspace.require(Permission.READ)
        return self._history

    def drop_old(self) -> None:
        """Forget what was read of logs that nobody asked for in the last while."""
        if "_history" in self.__dict__:
            self._history.drop_old()

    def drop_services(self) -> None:
        """Forget all that services remember; they are made again when they are needed."""
        workspace = self.workspace
        self.__dict__.clear()
        self.workspace = workspace

    @cached_property
    def _history(self) -> History:
        module, tools = import_module("tidemill.history.io.runs"), self.workspace.tools
        found: History = module.History(tools.ledger, tools.logs)
        return found

    @property
    def retention(self) -> Retention:
        """Removes what nothing needs any more: sweep, preview, explain, pin."""
        return cast("Retention", self._service("retention", "Retention"))

    @property
    def schedules(self) -> ProjectSchedules:
        """When stages run by themselves: what is due and what comes next, pause and resume."""
        return cast("ProjectSchedules", self._service("schedules", "ProjectSchedules", self._runs))

    @property
    def stage_cases(self) -> StageCases:
        """Tests stages on the cases of the project."""
        return cast("StageCases", self._service("stage_cases", "StageCases"))

    @property
    def runbooks(self) -> Runbooks:
        """The facts of the workflow's runbook: who answers, what failed, and what to do."""
        return cast("Runbooks", self._service("runbook", "Runbooks", self.incidents))

    @property
    def change_reviews(self) -> ChangeReviews:
        """Reviews of what the working tree changes against a git ref."""
        return cast("ChangeReviews", self._service("change_review", "ChangeReviews"))

    @cached_property
    def alerts(self) -> Alerts:
        """Checks what is wrong with the project, and alerts whom it concerns."""
        return cast("Alerts", self._service("alerts", "Alerts", self.incidents, self.metrics))

    @cached_property
    def costs(self) -> Costs:
        """What stages, models, endpoints and environments cost."""
        return cast("Costs", self._service("costs", "Costs"))

    @cached_property
    def incidents(self) -> Incidents:
        """The incidents of the project: list, show, open and resolve them; silence their alerts."""
        return cast("Incidents", self._service("incidents", "Incidents"))

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of stages and endpoints, the objectives, and what is wrong."""
        return cast("Metrics", self._service("metrics", "open_metrics"))

    def plan_urgent(self) -> Plan:
        """Plan what can't wait for a cheaper time, and note what waits."""
        return self.plans.make_urgent(Request())

    def run_urgent(self, *, command: str, limit: int | None = None) -> Receipt:
        """Run what can't wait for a cheaper time."""
        return self._runs.run(Request(limit=limit), command=command, hold="all")

    @cached_property
    def stage_states(self) -> StageStates:
        """The states of all stages as of a moment ago."""
        needed = (self.plans, self.metrics)
        return cast("StageStates", self._service("stage_states", "StageStates", *needed))

    @cached_property
    def table_totals(self) -> PublishedTotals:
        """What each stage has published: partitions, rows, bytes."""
        return cast("PublishedTotals", self._service("table_totals", "PublishedTotals"))

    @cached_property
    def sharing(self) -> Sharing:
        """Whose work the results are."""
        return cast("Sharing", self._service("sharing", "Sharing"))

    @cached_property
    def scorecards(self) -> Scorecards:
        """The four numbers: time to deliver changes, cost per inference, recovery, freshness."""
        return cast("Scorecards", self._service("scorecard", "Scorecards"))

    @property
    def reports(self) -> Reports:
        """Reports on runs, models and weeks, each as one HTML file."""
        return cast("Reports", self._service("reports", "Reports"))

    @cached_property
    def weekly_notes(self) -> WeeklyNotes:
        """The notes about weeks: write, keep and send them."""
        return cast("WeeklyNotes", self._service("weekly_notes", "WeeklyNotes", self.scorecards))

    def hand_off(self) -> ReviewPage:
        """What whoever takes over has to know: incidents, silences, reviews, runs, schedules, deliveries."""
        needed = (self.incidents, self.metrics, self.schedules)
        found = self._service("hand_offs", "read_hand_off", *needed)
        page: ReviewPage = import_module("tidemill.scorecard.hand_off").hand_off_page(found)
        return page

    def preview_promotion(
        self,
        source: str,
        *,
        train: Iterable[str] = (),
        allow_removals: str = "",
        again: bool = False,
    ) -> PromotionPreview:
        """Show what `promote` with the same arguments would do, and what would hold it back; change nothing.

        UsageError when the code isn't what `source` ran.
        """
        request = Request(train=frozenset(train), allow_removals=allow_removals, ask_again=again)
        module = import_module("tidemill.project.promotion_preview")
        found: PromotionPreview = module.preview_promotion(
            self.workspace, self.plans, source, request
        )
        return found

    @cached_property
    def statuses(self) -> Statuses:
        """How the environment is doing: what is wrong, what waits, what runs, what is due."""
        return cast("Statuses", self._service("statuses", "Statuses", self._history.sums))

    @cached_property
    def plans(self) -> Plans:
        """Plans what would run, and explains it."""
        return cast("Plans", self._service("plans", "Plans"))

    @cached_property
    def _runs(self) -> Runs:
        return cast("Runs", self._service("runs", "Runs", self.plans))

    def _service(self, module: str, name: str, *needed: object) -> Any:
        return getattr(import_module(f"tidemill.project.{module}"), name)(self.workspace, *needed)
