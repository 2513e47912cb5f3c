"""Reports of an open project: a run, a version of a model, or a week, each as one HTML file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import day_start, local_day
from tidemill.costs.day_range import DayRange
from tidemill.governance.io.recorded_reviews import newest_reviews
from tidemill.governance.permissions import Permission
from tidemill.history.io.runs import LAST, History
from tidemill.history.model_comparison import compare_versions
from tidemill.history.model_versions import rows_read
from tidemill.ledger.delivery import GATES, Decision
from tidemill.ledger.event import Decided, Published
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.model_version import ModelVersion, VersionState
from tidemill.ledger.run import RunInfo, Status
from tidemill.models.gates import BASELINE
from tidemill.project.costs import Costs
from tidemill.project.incidents import Incidents
from tidemill.project.models import Models
from tidemill.project.scorecard import Scorecards
from tidemill.project.shown_runs import shown_runs
from tidemill.project.workspace import Workspace
from tidemill.reports.model_report import ModelRecord, model_report
from tidemill.reports.report import Report
from tidemill.reports.report_html import report_html
from tidemill.reports.run_report import RejectedRows, RunRecord, run_report
from tidemill.reports.week_report import WeekRecord, week_report
from tidemill.workflow.gate import Scores

WEEK = "week"
_WEEK_S = 7 * 86_400.0
_NAMED_WEEK = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
# A run that quarantined rows in more partitions than that names only so many.
_MOST_PARTITIONS = 1_000
# Reviews that ended longer ago than so many others aren't looked for.
_MOST_REVIEWS = 1_000
# Of so many runs similar names are suggested.
_MOST_NAMED = 50
# So many models are named if none is similar.
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """A report: what `kind` it is of ("run", "model" or "week"), a `name` for its file, and its HTML."""

    kind: str
    name: str
    about: str
    html: str


class Reports:
    """Makes reports from what is recorded; AccessError if the actor may not read."""

    def __init__(self, workspace: Workspace) -> None:
        workspace.require(Permission.READ)
        self._workspace = workspace
        self._history = History(workspace.tools.ledger, workspace.tools.logs)
        self._models = Models(workspace)

    def report_on(self, name: str, version: str = "") -> WrittenReport:
        """The report on what a name means: the last week, a run by the beginning of its id, or a model.

        With a `version` it is a model's. UsageError suggests names if it means nothing.
        """
        if name == WEEK and not version:
            return self.week()
        if not version:
            runs = [self._history.run(LAST)] if name == LAST else self._history.runs_like(name)
            if len(runs) == 1:
                return self.run(runs[0].id)
            if len(runs) > 1 and name not in self._models:
                ids = [run.id for run in runs[:3]]
                raise UsageError(
                    f"{len(runs):,} runs begin with {name!r}, such as {', '.join(ids)}"
                )
        if name not in self._models:
            if version:
                near = did_you_mean(name, self._models)
                raise UsageError(
                    f"there is no model {name!r} ({near}), and only a model has a version {version!r}"
                )
            runs = self._history.runs(limit=_MOST_NAMED)
            known = [*self._models, WEEK, LAST, *(run.id for run in runs)]
            kinds = [*islice(self._models, _MOST_TOLD), LAST, WEEK]
            near = did_you_mean(name, known, f"there is: {', '.join(kinds)}")
            raise UsageError(f"there is no run or model {name!r} ({near})")
        return self.model(name, version)

    def run(self, name: str) -> WrittenReport:
        """The report on a run, which may still be running."""
        space = self._workspace
        [info] = shown_runs(space.tools.ledger, [self._history.run(name)])
        record = RunRecord(
            workflow=space.declared.name,
            info=info,
            attempts=[(fact.at, each) for fact, each in self._history.ended_attempts(info.id)],
            steps=self._history.steps(info.id),
            now=space.tools.clock(),
            price=space.settings.price_book.at(info.started),
            decisions=self._decisions(info),
            rejected=self._rejected(info),
            notes=self._history.notes(info.id),
            is_lost=info.status is Status.RUNNING and is_dead(info.holder),
        )
        return self._as_file("run", f"run-{info.id}", run_report(record))

    def model(self, name: str, version: str = "") -> WrittenReport:
        """The report on a version of a model: by default the live one, else the newest."""
        space, model = self._workspace, self._models[name]
        found, versions = model.version(version), model.versions
        live = next((each for each in versions if each.state is VersionState.LIVE), None)
        other = live is not None and live.id != found.id
        record = ModelRecord(
            workflow=space.declared.name,
            environment=space.environment,
            version=found,
            now=space.tools.clock(),
            price=space.settings.price_book.at(found.trained_at),
            comparison=compare_versions(live, found) if live is not None and other else None,
            baselines=dict(self._baselines(found)),
            versions=versions,
            periods=model.history,
        )
        return self._as_file("model", f"{name}-{found.id}", model_report(record))

    def week(self, week: str = "") -> WrittenReport:
        """The report on a week of the calendar, such as "2026-W47", or on the last seven days.

        UsageError for what isn't a week, or one that is still to come.
        """
        space = self._workspace
        settings, now = space.settings, space.tools.clock()
        zone = settings.scorecard.zone or settings.metrics.zone
        if week:
            since, until = _ends_of(week, zone)
            if since >= now:
                raise UsageError(f"the week {week} is still to come")
            until, period = min(until, now), f"week {week}"
        else:
            until, period = now, f"7 days until {local_day(now, zone)}"
            since = day_start(local_day(now - _WEEK_S, zone), zone)
        incidents = [
            each
            for each in Incidents(space).every()
            if each.bad_since < until and (each.closed_at is None or each.closed_at >= since)
        ]
        reviews = [
            each
            for each in newest_reviews(
                space.tools.ledger, space.environment, _MOST_REVIEWS
            ).values()
            if each.review.opened < until and (each.closed is None or since <= each.closed < until)
        ]
        of_costs = settings.metrics.zone
        days = DayRange(first=local_day(since, of_costs), last=local_day(until - 1, of_costs))
        record = WeekRecord(
            period=period,
            card=Scorecards(space).make(until - since, until=until),
            now=now,
            costs=Costs(space).rows(days),
            incidents=incidents,
            reviews=reviews[::-1],
        )
        name = f"week-{week or local_day(now, zone)}"
        return self._as_file(WEEK, name, week_report(record))

    def _as_file(self, kind: str, name: str, report: Report) -> WrittenReport:
        html = self._workspace.redactor.redact(report_html(report))
        return WrittenReport(kind=kind, name=name, about=report.about, html=html)

    def _decisions(self, info: RunInfo) -> list[tuple[str, Decision]]:
        """What gates decided while a run went on: there is one run at a time in an environment."""
        found = []
        for fact in self._workspace.tools.ledger.events(kinds=(Decided.__name__,), newest=True):
            event = fact.event
            if fact.at < info.started:
                break
            if (
                isinstance(event, Decided)
                and event.environment == info.environment
                and event.decision.actor == GATES
                and (info.ended is None or fact.at <= info.ended)
            ):
                found.append((event.stage, event.decision))
        return found[::-1]

    def _rejected(self, info: RunInfo) -> list[RejectedRows]:
        """The rows that a run quarantined, by stage and rule."""
        ledger = self._workspace.tools.ledger
        rows: dict[tuple[str, str], int] = {}
        places: dict[tuple[str, str], list[str]] = {}
        samples: dict[tuple[str, str], str] = {}
        for fact in ledger.events(kinds=(Published.__name__,), run=info.id):
            event = fact.event
            if not isinstance(event, Published) or event.binding.run != info.id:
                continue
            for finding in event.binding.product.findings:
                if finding.severity == "quarantine":
                    key = event.stage, finding.rule
                    rows[key] = rows.get(key, 0) + finding.rows
                    places.setdefault(key, []).append(event.partition)
                    samples.setdefault(key, finding.sample)
        return [
            RejectedRows(
                stage=stage,
                rule=rule,
                rows=number,
                partitions=tuple(places[stage, rule][:_MOST_PARTITIONS]),
                sample=samples[stage, rule],
            )
            for (stage, rule), number in rows.items()
        ]

    def _baselines(self, version: ModelVersion) -> Iterator[tuple[str, Scores]]:
        """The scores of the baseline by evaluation, where it was scored on the rows of the version."""
        for each in version.evaluations:
            bound = self._workspace.bindings(each.stage).get(BASELINE)
            scores = bound.product.scores if bound is not None else None
            if bound is None or scores is None:
                continue
            if rows_read(bound, version.model) == each.rows_read:
                yield each.stage, scores


def _ends_of(week: str, zone: str) -> tuple[float, float]:
    """When a week of the calendar begins and ends; UsageError if it isn't one."""
    found = _NAMED_WEEK.fullmatch(week)
    try:
        first = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
        ends = (first, first + timedelta(days=7)) if first is not None else None
    except (ValueError, OverflowError):
        ends = None
    if ends is None:
        raise UsageError(f"there is no week {week!r}: name one as in 2026-W47")
    since, until = (day_start(day.isoformat(), zone) for day in ends)
    return since, until
