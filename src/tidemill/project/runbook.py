"""Gather the facts of a workflow's runbook: from its declaration, its settings and its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from tidemill.contracts.table_rules import FreshnessRule
from tidemill.core.counts import money_text
from tidemill.core.errors import TidemillError
from tidemill.core.partition import Partitioning
from tidemill.environments.io.environments import load_state
from tidemill.governance.permissions import Permission, holders_text
from tidemill.history.io.runs import History
from tidemill.ledger.performance import Performance
from tidemill.operations.alert_notice import duration
from tidemill.operations.code_owners import code_owners
from tidemill.operations.incident import IncidentState
from tidemill.operations.objective_settings import Objective, ObjectiveKind
from tidemill.operations.runbook import (
    RunbookEndpoint,
    RunbookFacts,
    RunbookIncident,
    RunbookStage,
)
from tidemill.operations.schedule_settings import parse_schedules
from tidemill.project.clock import project_clock
from tidemill.project.incidents import Incidents
from tidemill.project.workspace import Workspace
from tidemill.workflow.partition_mapping import partitionings_of
from tidemill.workflow.stage import DATA, Stage

_TOLD = (
    ("run", Permission.RUN),
    ("review", Permission.REVIEW),
    ("roll back", Permission.DELIVER),
    ("release rows", Permission.RELEASE_ROWS),
    ("waive a rule", Permission.WAIVE),
)


class Runbooks:
    """Gathers the facts of runbooks in an environment."""

    def __init__(self, workspace: Workspace, incidents: Incidents) -> None:
        self._workspace = workspace
        self._incidents = incidents

    def facts(self, *, dated: bool = False) -> RunbookFacts:
        """The facts of the runbook; `dated` adds the day on which they were gathered.

        Without a home there is no history, and none is begun. AccessError if the actor may not read.
        """
        space = self._workspace
        has_home = space.has_home
        if has_home:
            space.require(Permission.READ)
            load_state(space.tools.ledger, space.environment)
        performance = self._performance() if has_home else {}
        owners = self._incidents.owners()
        cuts = partitionings_of(space.declared)
        now = _day(project_clock()())
        return RunbookFacts(
            workflow=space.declared.name,
            environment=space.environment,
            owner=space.declared.owner,
            stages=tuple(
                _stage(stage, cuts[stage.name], owners[stage.name], performance.get(stage.name))
                for stage in space.declared.stages
            ),
            endpoints=tuple(
                RunbookEndpoint(name=each.name, model=each.model, rollout=each.rollout is not None)
                for each in space.declared.endpoints
            ),
            incidents=tuple(map(_incident, self._incidents.every())) if has_home else (),
            people=tuple(
                (what, holders_text(permission, space.declared.name, space.settings.grants))
                for what, permission in _TOLD
            ),
            alerts=tuple(self._alerts()),
            schedules=tuple(self._schedules()),
            objectives=tuple((each.name, _objective(each)) for each in space.settings.slo),
            rules=tuple(self._rules()),
            costs=tuple(self._costs()),
            keeps=tuple(self._keeps()),
            written=f"{now:%Y-%m-%d}" if dated else "",
            is_shared=bool(space.settings.home_url),
        )

    def code_owners(self) -> str:
        """The text of a CODEOWNERS file: for each file of stages and contracts, who owns these stages."""
        flow, owners = self._workspace.declared, self._incidents.owners()
        owned = []
        for stage in flow.stages:
            contract = stage.output.place if stage.output is not None else ""
            for place in filter(None, (stage.place, contract)):
                path, _, line = place.rpartition(":")
                # What is declared elsewhere, such as in a package, isn't a file of the project.
                if line.isdigit() and (self._workspace.root / path).is_file():
                    owned.append((path.replace("\\", "/"), owners[stage.name]))
        return code_owners(flow.owner, owned)

    def _performance(self) -> Mapping[str, Performance]:
        space = self._workspace
        history = History(space.tools.ledger, space.tools.logs)
        found = history.performance(environment=space.environment)
        return {each.stage: each for each in found}

    def _alerts(self) -> Iterator[tuple[str, str]]:
        settings = self._workspace.settings.alerts
        for name, channel in settings.channels.items():
            routes = [route for route in settings.routes if name in route.to]
            what = "; ".join(
                f"{route.severity} and worse, stages {', '.join(route.stages)}" for route in routes
            )
            # Addresses may hold secrets, so they aren't named.
            yield (
                name,
                f"{channel.kind}, {what or ('every alert' if not settings.routes else 'none')}",
            )

    def _schedules(self) -> Iterator[tuple[str, str]]:
        space = self._workspace
        place = str(space.settings.root)
        for each in parse_schedules(space.settings.schedules, place).schedules:
            if each.environment == space.environment:
                stages = ", ".join(each.stages) or "all stages"
                yield each.name, f"{each.rule} ({each.timezone}): {stages}"

    def _rules(self) -> Iterator[tuple[str, str]]:
        space = self._workspace
        if not space.has_rules:
            return
        try:
            rules = space.rules.rules
        except TidemillError:
            return
        words = {"deny": "refuses", "review": "asks for a review of", "warn": "warns about"}
        for rule in rules:
            kinds = ", ".join(sorted(f"{kind}" for kind in rule.kinds))
            who = f" by {', '.join(rule.approvers)}" if rule.approvers else ""
            yield rule.id, f"{words[rule.effect]} {kinds}{who}: {rule.message or rule.when}"

    def _costs(self) -> Iterator[tuple[str, str]]:
        settings = self._workspace.settings
        currency = settings.price_book.at(project_clock()()).currency
        for name, limit in settings.budget.limits():
            yield name, limit.text(currency)
        if settings.offpeak.is_set:
            deadline = _span(settings.offpeak.default_deadline)
            yield (
                "off-peak",
                f"what can wait does so for {deadline} at most, by {settings.offpeak.source}",
            )
        targets = settings.scorecard
        if targets.deliver_within is not None:
            yield "changes are delivered", f"within {_span(targets.deliver_within)}"
        if targets.cost_per_1000 is not None:
            yield "1,000 predictions cost", f"at most {money_text(targets.cost_per_1000, currency)}"
        if targets.recover_within is not None:
            yield "errors are recovered from", f"within {_span(targets.recover_within)}"
        if targets.fresh is not None:
            yield "data are fresh", f"{targets.fresh * 100:g} % of the time"

    def _keeps(self) -> Iterator[tuple[str, str]]:
        keeps = self._workspace.settings.retention
        yield "superseded results", _span(keeps.keep_for)
        yield "earlier versions of delivered tables", _span(keeps.restore_for)
        yield "versions of models that were live before", f"{keeps.models}"
        yield "logs", _span(keeps.logs)
        yield "results of memos, since they were used last", _span(keeps.memos)
        if keeps.hold:
            yield "hold", "nothing is removed"


def _stage(
    stage: Stage, cut: Partitioning, owner: str, performance: Performance | None
) -> RunbookStage:
    spec, approval = stage.output, stage.approval
    terms = approval.review if approval is not None else None
    agree = ""
    if terms is not None:
        when = f" when {terms.when}" if terms.when else ""
        agree = f"{terms.people} of {', '.join(terms.by) or 'the reviewers'} have to agree{when}"
    return RunbookStage(
        name=stage.name,
        kind=str(stage.kind),
        owner=owner,
        reads=tuple(dict.fromkeys((*(item.name for item in stage.inputs), *_model_of(stage)))),
        contract=spec.title if spec is not None else "",
        partitions="" if cut.is_whole else str(cut),
        needs=tuple(_needs(stage)),
        gates=tuple(str(gate) for gate in approval.gates) if approval is not None else (),
        approval=agree,
        retries=stage.retries.times,
        sink=stage.sink.format if stage.sink is not None else "",
        model=stage.model,
        wall_s=performance.wall.p95 if performance is not None else None,
        fails=performance is not None and performance.failed > performance.retried,
    )


def _model_of(stage: Stage) -> tuple[str, ...]:
    return (stage.model,) if stage.model else ()


def _needs(stage: Stage) -> Iterator[str]:
    spec = stage.output
    if spec is None or stage.kind not in DATA:
        return
    for rule in spec.table_rules:
        if isinstance(rule, FreshnessRule):
            yield f"{rule} ({'it fails' if rule.on_fail == 'fail' else 'it warns'})"
    if spec.rows is not None and (spec.rows.min is not None or spec.rows.max is not None):
        bounds = [
            f"at least {spec.rows.min:,}" if spec.rows.min is not None else "",
            f"at most {spec.rows.max:,}" if spec.rows.max is not None else "",
        ]
        yield f"{' and '.join(filter(None, bounds))} rows a partition"
    if spec.budget is not None:
        yield f"at most {spec.max_bad * 100:.4g} % of a partition's rows are quarantined"


def _incident(state: IncidentState) -> RunbookIncident:
    closing = state.closing
    how = str(closing.how) if closing is not None else ""
    if closing is not None and closing.reason:
        how += f": {closing.reason}"
    well = state.recovered
    return RunbookIncident(
        id=state.id,
        day=f"{_day(state.incident.since):%Y-%m-%d}",
        title=state.cause.title,
        stage=state.cause.stage,
        ended=how,
        took_s=None if well is None else max(0.0, well - state.incident.since),
    )


def _day(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _objective(found: Objective) -> str:
    limit = f" within {_span(found.limit)}" if found.limit else ""
    what = {
        ObjectiveKind.FRESHNESS: f"{found.subject} is fresh{limit}",
        ObjectiveKind.SUCCESS: f"steps of {found.subject} succeed",
        ObjectiveKind.AVAILABILITY: f"{found.subject} answers",
        ObjectiveKind.LATENCY: f"{found.subject} answers{limit}",
    }[found.kind]
    return f"{what}, {found.target * 100:.6g} % over {_span(found.window)}"


def _span(seconds: float | None) -> str:
    return "for ever" if seconds is None else duration(seconds)
