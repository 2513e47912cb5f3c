"""Plan what would run and why, and explain a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import ConflictError, DeclarationError, did_you_mean
from tidemill.environments.io.environments import require_unexpired
from tidemill.governance.permissions import Permission
from tidemill.ledger.off_peak import held_partitions
from tidemill.ledger.run import Action
from tidemill.models.triggers import LiveModelWatch
from tidemill.planning.missing_rows import removals_of
from tidemill.planning.plan import Plan, PlanInputs, Removals
from tidemill.planning.planner import make_plan, request_scope
from tidemill.planning.request import Request
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.project.composition import count_rows, end_scan, list_tables
from tidemill.project.enforcement import is_governed
from tidemill.project.sink_obstacles import obstacle_faults, own_source_faults
from tidemill.project.workflow_ledger import renaming_notes
from tidemill.project.workspace import Workspace
from tidemill.runs.io.job import MissingObjects, damaged_objects
from tidemill.runs.io.unjudged_drift import drift_notes
from tidemill.sources.io.file_listing import scan_sources
from tidemill.sources.scan import Scan
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.param_overrides import describe_overrides
from tidemill.workflow.source import Source, SourceFile
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.trigger import Degraded, PredictionShift, leaf_triggers

if TYPE_CHECKING:
    from tidemill.planning.stage_reasons import StageReasons
    from tidemill.project.offpeak import OffPeak

_NOT_PULLED = (
    "only what was pulled before counts here: its function is called for those who may run"
)


class Plans:
    """Plans what a request needs, on the state of the workspace's environment."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @cached_property
    def off_peak(self) -> OffPeak | None:
        """What lets work wait for a cheaper time; None if the settings name no prices."""
        if not self._workspace.settings.offpeak.is_set:
            return None
        found: OffPeak = import_module("tidemill.project.offpeak").OffPeak(self._workspace)
        return found

    def make(self, request: Request) -> Plan:
        """Plan a request and change nothing.

        Functions of `tm.pull`, whose rows are stored, are only called for an actor that may run; for others
        what was pulled last counts. Raises DeclarationError with all faults of the stages that the request
        covers, AccessError if the actor may not read.
        """
        space = self._workspace
        space.require(Permission.READ)
        self.refuse_faults(request)
        try:
            return self.make_governed(space.preview_state(), request)
        except ConflictError:
            return self.make_governed(space.preview_state(whole=True), request)
        finally:
            space.tools.external_sources.close()

    def make_urgent(self, request: Request) -> Plan:
        """Plan what can't wait for a cheaper time, and record what waits; otherwise as `make`.

        AccessError if the actor may not run.
        """
        self._workspace.require_to_publish(Permission.RUN)
        plan = self.make(request)
        if self.off_peak is None:
            return plan
        self.off_peak.note(plan, plan.deferred)
        held = held_partitions(plan.deferred)
        return self.make(replace(request, held=held)) if held else plan

    def make_governed(self, state: State, request: Request) -> Plan:
        """The plan on a given state, with what rules, reviews and budgets hold back, as far as is known."""
        plan = self._with_budgets(state, self.make_on(state, request))
        if not is_governed(self._workspace):
            return plan
        foresee = import_module("tidemill.project.policy_preview").policy_notes
        return replace(plan, notes=(*plan.notes, *foresee(self._workspace, state, plan)))

    def _with_budgets(self, state: State, plan: Plan) -> Plan:
        if not self._workspace.has_budgets(state):
            return plan
        module = import_module("tidemill.project.budgets")
        found = module.plan_forecast(self._workspace, state, plan)
        return replace(plan, budgets=found, notes=(*plan.notes, *module.forecast_notes(found)))

    def make_on(self, state: State, request: Request) -> Plan:
        """Plan a request on a given state; the caller closes the sources that were opened for it."""
        space = self._workspace
        require_unexpired(state, space.environment, space.tools.clock())
        scans = self._scan(state, request)
        now = replace(_now(state, space.tools.clock()), watch=self._watch(state))
        plan = self._plan(state, now, scans, request)
        # Only a part of what is lost would be removed now, and the rest unasked by a later run.
        if plan.unsettled and request.limit is None and not request.partition:
            allowed = self._plan(state, now, scans, replace(request, removals_allowed=True))
            removals = removals_of(allowed, plan)
            if removals is not None and removals.id == request.allow_removals:
                plan = allowed
            else:
                plan = replace(
                    plan, removals=removals, notes=_with_useless_id(plan, removals, request)
                )
        elif request.allow_removals:
            plan = replace(plan, notes=_with_useless_id(plan, None, request))
        self._refuse_missing_libraries(plan)
        self._refuse_sinks(plan, scans)
        if self.off_peak is not None:
            plan = self.off_peak.with_timetable(plan, state)
        plan = self._with_cost(plan)
        if given := describe_overrides(space.options.params):
            plan = replace(plan, notes=(*plan.notes, *given))
        plan = replace(plan, notes=(*plan.notes, *self._unknown_trusted(state)))
        drift = drift_notes(space.tools.ledger, space.flow, state, space.environment)
        if drift:
            plan = replace(plan, notes=(*plan.notes, *drift))
        if state.heads:
            return plan
        # A renamed workflow would compute everything again.
        notes = renaming_notes(space.tools.ledger, space.flow)
        return replace(plan, notes=(*plan.notes, *notes)) if notes else plan

    def _unknown_trusted(self, state: State) -> list[str]:
        """Notes on environments that only the setting `trusted` names: a misspelt one protects nothing."""
        settings, known = self._workspace.settings, {PRODUCTION, *state.environments}
        return [
            f"{settings.file}: [tool.tidemill.trusted] is about an environment {name!r} that doesn't exist "
            f"({did_you_mean(name, known)})"
            for name in settings.trusted
            if name not in known
        ]

    def _with_cost(self, plan: Plan) -> Plan:
        """The plan with what it should cost, if anything has a price."""
        space = self._workspace
        sure = [step for step in plan.steps if not step.unlikely]
        if not sure or space.settings.price_book.is_free:
            return plan
        from tidemill.planning.cost_estimate import estimate_cost
        from tidemill.planning.io.past_work import read_past_work

        past = read_past_work(space.tools.ledger, {step.stage for step in sure})
        return replace(plan, cost=estimate_cost(sure, past, space.price))

    def refuse_faults(self, request: Request) -> None:
        """Raise DeclarationError when `check` finds faults in stages that a request covers.

        UsageError for a stage that isn't declared, also if it is published.
        """
        for name in request.named:
            self._workspace.stage(name)
        self._workspace.will_scan = True
        try:
            self._workspace.refuse_faults(request_scope(self._workspace.flow, request))
        except BaseException:
            end_scan()
            raise

    def reasons(self, plan: Plan, stage: str, partition: str = "") -> StageReasons:
        """Why the plan runs, delays or keeps a stage or a partition, followed upstream to source files."""
        space = self._workspace
        subject = space.stage(stage)
        from tidemill.planning.io.reasons_with_history import explain_reasons

        return space.read_state(
            lambda state: explain_reasons(space.facts(state), plan, subject, partition)
        )

    def _plan(
        self, state: State, now: PlanInputs, scans: Mapping[str, Scan], request: Request
    ) -> Plan:
        """Plan on what is stored: a plan whose steps would read missing objects is made again."""
        space = self._workspace
        make = partial(
            make_plan,
            space.flow,
            space.recipes,
            scans=scans,
            lookup=space.tools.ledger.traces,
            request=replace(request, tuned=frozenset(space.options.params)),
            environment=space.environment,
        )
        absent = dict(damaged_objects(space.tools.artifacts, space.flow, state))
        missing = MissingObjects(space.tools.artifacts, state)
        while True:
            plan = make(replace(now, missing_objects=absent))
            # What computes a missing object may read others that are missing.
            more = missing.find(plan).items() - absent.items()
            if not more:
                return plan
            absent |= dict(more)
            # It may have millions of steps.
            del plan

    def _watch(self, state: State) -> LiveModelWatch | None:
        """What looks for changes of live models; None if no trigger needs it."""
        flow = self._workspace.flow
        trainings = [stage.training for stage in flow.stages if stage.training is not None]
        leaves = [leaf for training in trainings for leaf in leaf_triggers(training.retrain)]
        if not any(isinstance(leaf, Degraded | PredictionShift) for leaf in leaves):
            return None
        # It needs NumPy, which other plans don't load.
        watch: LiveModelWatch = import_module("tidemill.models.io.watch").ModelWatch(
            self._workspace.tools.artifacts, flow, state.heads, state.live
        )
        return watch

    def _scan(self, state: State, request: Request) -> Mapping[str, Scan]:
        """List the sources of the ingest stages that the request covers."""
        space = self._workspace
        scope = request_scope(space.flow, request)
        may_pull, not_pulled = space.publishing_refusal(Permission.RUN) is None, set[str]()

        def look(
            source: Source[Any], stage: Stage, tools: Runtime, known: Mapping[str, SourceFile]
        ) -> Mapping[str, SourceFile]:
            if may_pull or not source.is_pulled:
                return list_tables(source, stage, tools, known)
            not_pulled.add(stage.name)
            return known

        try:
            ingests = [s for s in space.flow.stages if s.kind is Kind.INGEST and s.name in scope]
            scans = scan_sources(
                ingests,
                space.tools,
                state.sources,
                count_rows,
                look,
                verify=request.verify_sources,
            )
        finally:
            end_scan()
        return scans | {name: replace(scans[name], notes=(_NOT_PULLED,)) for name in not_pulled}

    def _refuse_missing_libraries(self, plan: Plan) -> None:
        """Raise DeclarationError for libraries that a planned training needs and that aren't installed."""
        trained = {step.stage for step in plan.steps if step.action is Action.TRAIN}
        if trained and (faults := self._workspace.missing_libraries(trained)):
            raise DeclarationError(f"workflow {self._workspace.flow.name!r}", faults)

    def _refuse_sinks(self, plan: Plan, scans: Mapping[str, Scan]) -> None:
        """Raise DeclarationError for deliveries that would fail: no run queues what can't be delivered."""
        space = self._workspace
        stages = [space.stage(name) for name in plan.by_stage()]
        faults = [
            *obstacle_faults(stages, space.tools, space.environment),
            *own_source_faults(stages, space.flow, scans, space.environment),
        ]
        if faults:
            raise DeclarationError(f"workflow {space.flow.name!r}", faults)


def _with_useless_id(plan: Plan, removals: Removals | None, request: Request) -> tuple[str, ...]:
    """The notes of a plan, and that the ID of the request isn't that of its removals."""
    if not request.allow_removals:
        return plan.notes
    now = f"the ID is {removals.id}" if removals is not None else "nothing has to be allowed"
    return (*plan.notes, f"--allow-removals {request.allow_removals} removes nothing: {now} now")


def _now(state: State, at: float) -> PlanInputs:
    return PlanInputs(
        heads=state.heads,
        recipes=state.recipes,
        live=state.live,
        decisions=state.decisions,
        sources=state.sources,
        marks=state.completion_marks,
        rulings=state.rulings,
        costs=state.costs,
        at=at,
    )
