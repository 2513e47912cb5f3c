"""Execute plans: run a request, or promote an environment; most runs don't import what few need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

from tidemill.core.errors import GateError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.work_began import take_work_began
from tidemill.environments.io.environments import (
    Environments,
    begin_environment,
    drop_expired,
    load_state,
)
from tidemill.governance.io.code_commit import code_commit
from tidemill.governance.permissions import Permission
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.io.process_usage import cpu_with_children
from tidemill.ledger.off_peak import DeferredWork, OffPeakSaving, describe_waiting, held_partitions
from tidemill.ledger.run import Receipt, StageTotals, Status
from tidemill.planning.plan import Plan
from tidemill.planning.request import Request
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.project.attest_hooks import attest_run
from tidemill.project.code_changes import note_code_changes
from tidemill.project.composition import end_scan, engine_options, run_id
from tidemill.project.enforcement import (
    end_overdue_reviews,
    enforcement_of,
    governance_of,
    is_governed,
)
from tidemill.project.mlflow_hook import catch_up_mlflow
from tidemill.project.offpeak_faults import no_prices_notes
from tidemill.project.plans import Plans
from tidemill.project.rare_collections import rare_collections
from tidemill.project.review_upkeep import announce_reviews, finish_reviews
from tidemill.project.trusted_branches import require_trusted_branch
from tidemill.project.workspace import Workspace
from tidemill.runs.io.job import EngineOptions, Job, ScheduledTick
from tidemill.runs.io.job import NoProgress as NoProgress
from tidemill.runs.io.job import Progress as Progress
from tidemill.runs.io.lease import Heartbeat, take_lease
from tidemill.runs.io.recovery import recover_dead_runs
from tidemill.runs.io.run_record import record_idle_run
from tidemill.runs.io.unjudged_drift import is_drift_unjudged
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.param_overrides import describe_overrides

if TYPE_CHECKING:
    from tidemill.governance.change_verdict import Verdict
    from tidemill.governance.io.enforcement import Enforcement
    from tidemill.operations.swept import SweepReport
    from tidemill.project.openlineage import FollowedRun
    from tidemill.runs.io.run_budget import RunBudget


# What waits of the work that can wait for a cheaper time: what is placed for later, or all of it.
Hold: TypeAlias = Literal["nothing", "later", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunOptions:
    """How a request is run: for the promotion of a `source`, or for the `tick` of a schedule.

    Its CPU time counts since `cpu_began`.
    """

    command: str
    progress: Progress
    cpu_began: float
    inline: bool = False
    fail_fast: bool = False
    source: str = ""
    tick: ScheduledTick | None = None
    hold: Hold = "nothing"


class Runs:
    """Executes requests in the workspace's environment, one run at a time."""

    def __init__(self, workspace: Workspace, plans: Plans) -> None:
        self._workspace = workspace
        self._plans = plans

    @rare_collections()
    def run(  # noqa: PLR0913 - how to run, in keywords
        self,
        request: Request,
        *,
        command: str,
        wait_s: float | None = 0.0,
        progress: Progress | None = None,
        inline: bool = False,
        fail_fast: bool = False,
        tick: ScheduledTick | None = None,
        hold: Hold = "nothing",
    ) -> Receipt:
        """Plan a request, execute the plan, and return what it did and cost.

        With `inline` steps run one after the other in this thread; with `fail_fast` nothing begins any more
        once a step has failed. The run consumes the `tick` of a schedule, and leaves what `hold` says of the
        work that can wait for a cheaper time. Raises ConflictError when another
        run holds the environment for longer than `wait_s` seconds (None if the caller has no option for
        that) or consumed the tick, DeclarationError with all faults of the stages that the request covers,
        before anything runs, AccessError if the actor may not run.
        """
        cpu_began = _cpu_began()
        self._workspace.require_to_publish(Permission.RUN)
        if hold == "later" and self._plans.off_peak is None:
            raise UsageError(
                "without prices nothing can wait until it is cheaper: set `[tool.tidemill.offpeak]`, "
                "or run without --off-peak"
            )
        self._plans.refuse_faults(request)
        lease = self._take_lease(command, wait_s)
        options = _RunOptions(
            command=command,
            progress=progress or NoProgress(),
            cpu_began=cpu_began,
            inline=inline,
            fail_fast=fail_fast,
            tick=tick,
            hold=hold,
        )

        def work(tools: Runtime) -> Receipt:
            if tick is not None:
                from tidemill.operations.io.schedule_reader import require_new_tick

                require_new_tick(tools.ledger, tick.tick)
            return self._run(tools, request, lease, options)

        return self._hold_and_announce(lease, work)

    def promote(
        self,
        source: str,
        request: Request,
        *,
        command: str,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        fail_fast: bool = False,
    ) -> Receipt:
        """Publish in one transaction what the environment `source` computes, on this one's data.

        UsageError when the code isn't what `source` ran; ConflictError when a run published meanwhile,
        AccessError if the actor may not promote.
        """
        cpu_began = _cpu_began()
        self._workspace.require_to_publish(Permission.PROMOTE)
        self._plans.refuse_faults(request)
        space = self._workspace
        lease = self._take_lease(command, wait_s)
        options = _RunOptions(
            command=command,
            progress=progress or NoProgress(),
            cpu_began=cpu_began,
            source=source,
            fail_fast=fail_fast,
        )

        def work(tools: Runtime) -> Receipt:
            tune = partial(space.options.apply_profile, space.declared)
            from tidemill.environments.io.promotion import require_same_code

            require_same_code(tools, tune, space.recipes, source, space.environment)
            return self._run(tools, request, lease, options)

        return self._hold_and_announce(lease, work)

    def _hold_and_announce(self, lease: Heartbeat, work: Callable[[Runtime], Receipt]) -> Receipt:
        """Do the work of a run, and then notify people of what waits for them."""
        space = self._workspace
        try:
            receipt = self._hold(lease, work)
        except GateError:
            announce_reviews(space)
            raise
        finished = self._sweep_if_due(finish_reviews(space, receipt))
        return self._export_telemetry(self._mirror_models(finished))

    def _mirror_models(self, receipt: Receipt) -> Receipt:
        """Mirror models to MLflow, if the settings say so; what fails is a message of the run."""
        messages = catch_up_mlflow(self._workspace)
        return replace(receipt, messages=(*receipt.messages, *messages)) if messages else receipt

    def _export_telemetry(self, receipt: Receipt) -> Receipt:
        """Export the run, if the settings say so; what fails is a message of the run."""
        if not self._workspace.settings.metrics.telemetry:
            return receipt
        module = import_module("tidemill.project.run_telemetry")
        found: Receipt = module.export_runs(self._workspace, receipt)
        return found

    def _sweep_if_due(self, receipt: Receipt) -> Receipt:
        """Sweep if runs left enough garbage, and meter what is left; what fails is a message of the run."""
        if not any(stage.ran or stage.bound or stage.removed for stage in receipt.stages):
            return receipt
        due = import_module("tidemill.project.due_sweep")
        messages: tuple[str, ...] = due.sweep_if_due(self._workspace, self._sweep, nightly=False)
        if not self._workspace.settings.price_book.is_free:
            metering = import_module("tidemill.project.storage_metering")
            messages = (*messages, *metering.meter_storage(self._workspace))
        return replace(receipt, messages=(*receipt.messages, *messages)) if messages else receipt

    def _sweep(self) -> SweepReport | None:
        retention = import_module("tidemill.project.retention").Retention(self._workspace)
        report: SweepReport | None = retention.sweep_by_itself()
        return report

    def _hold(self, lease: Heartbeat, work: Callable[[Runtime], Receipt]) -> Receipt:
        """Do the work of a run, and release its lease; what lineage is left to send comes after that."""
        space = self._workspace
        follower: FollowedRun | None = None
        receipt: Receipt | None = None
        try:
            try:
                follower = self._follower()
                receipt = work(space.tools if follower is None else follower.tools)
            finally:
                lease.close()
        finally:
            try:
                noted = receipt if follower is None else follower.finish(receipt)
            finally:
                # What is left to send may still be about them.
                space.tools.external_sources.close()
        assert noted is not None
        return noted

    def _follower(self) -> FollowedRun | None:
        settings = self._workspace.settings.openlineage
        if settings is None or not settings.sends:
            return None
        module = import_module("tidemill.project.openlineage")
        found: FollowedRun = module.FollowedRun(self._workspace)
        return found

    def _decide_promotion(self, enforcement: Enforcement, source: str, lease: Heartbeat) -> Verdict:
        """What is to be recorded with a promotion; GateError if rules or people are against it."""
        policy = import_module("tidemill.project.promotion_policy")
        found: Verdict = policy.require_allowed_promotion(
            self._workspace, enforcement, source, lease.lease
        )
        return found

    def _begin(self, tools: Runtime, lease: Heartbeat) -> list[str]:
        """Create the environment unless it exists; return a note if it was created."""
        space, name = self._workspace, self._workspace.environment
        is_other = name in space.settings.trusted and name != PRODUCTION
        if is_other and name not in tools.ledger.state(name).environments:
            require_trusted_branch(space, name, PRODUCTION)
        return begin_environment(tools, name, space.options, lease)

    def _run(
        self,
        tools: Runtime,
        request: Request,
        lease: Heartbeat,
        options: _RunOptions,
    ) -> Receipt:
        messages = [] if options.source else self._begin(tools, lease)
        known = {*tools.artifacts.names(damaged=True)}

        receipt = self._run_once(tools, request, lease, options, messages)
        found = {*tools.artifacts.names(damaged=True)} - known
        if not found or receipt.status is not Status.FAILED:
            return receipt
        count = f"{len(found)} damaged object{'s' * (len(found) != 1)}"
        note = f"run {receipt.run} found {count}; this run computed what they held again"
        # The run before consumed the tick.
        options = replace(options, tick=None, cpu_began=cpu_with_children())
        return self._run_once(tools, request, lease, options, [*messages, note])

    def _run_once(
        self,
        tools: Runtime,
        request: Request,
        lease: Heartbeat,
        options: _RunOptions,
        messages: list[str],
    ) -> Receipt:
        """Plan a request and execute the plan; all at once for the promotion of a `source`."""
        space = self._workspace
        name, source = space.environment, options.source
        enforcement = promoted = governance = None
        if is_governed(space):
            end_overdue_reviews(space)
            enforcement = enforcement_of(space, source, again=request.ask_again)
            promoted = self._decide_promotion(enforcement, source, lease) if source else None
        state, messages = space.state(), [*messages]
        crashed = bool(state.open_runs)
        recovered, undelivered = recover_dead_runs(tools, space.flow, state, lease)
        if recovered:
            messages, state = [*messages, *recovered], space.state()
        note_code_changes(space, state, lease.lease)
        if source:
            # What is live in the source is judged here, whatever gates said of it before.
            theirs = {held.artifact.id for held in load_state(tools.ledger, source).live.values()}
            from tidemill.models.gates import lift_refusals

            state = replace(state, decisions=lift_refusals(state.decisions, theirs))
        (plan, waiting), run = self._plan(state, request, options.hold), run_id()
        messages += [*no_prices_notes(plan.notes), *map(describe_waiting, waiting)]
        messages += drop_expired(Environments(tools, space.options), state, tools.clock())
        messages += [model.refused for model in plan.models if model.refused]
        messages += [options.tick.because] if options.tick and options.tick.because else []
        # A step that brought the run before down may do so again.
        secrets = tools.redactor.secrets
        given = space.options.params
        messages += describe_overrides(given)
        budget = self._budget(state, plan)
        engines = engine_options(
            space.settings,
            space.flow,
            name,
            run,
            careful=crashed,
            secrets=secrets,
            profile=space.options.worker_profile(space.options.resolve_environment(state)),
            meter=budget,
        )
        if budget is not None:
            budget.workers = engines.cpus
            budget.began = options.cpu_began
        if given:
            engines = replace(engines, context=replace(engines.context, params=given))
        if enforcement is not None:
            governance = governance_of(
                space, state, plan, enforcement.during(run), lease.lease, at_once=bool(source)
            )
        if governance is not None and promoted is not None:
            governance = replace(
                governance,
                first=(*promoted.events, *governance.first),
                rests_on=promoted.rests_on | governance.rests_on,
            )
            messages += promoted.notes
        messages += governance.notes if governance is not None else ()
        job = Job(
            tools=tools,
            flow=space.flow,
            recipes=space.recipes,
            plan=plan,
            state=state,
            run=run,
            command=options.command,
            price=space.price,
            prices=space.settings.price_book,
            progress=options.progress,
            engines=EngineOptions() if options.inline else engines,
            at_once=bool(source),
            undelivered=undelivered,
            attest=partial(attest_run, space),
            governance=governance,
            actor=space.actor.name,
            tick=options.tick,
            fail_fast=options.fail_fast,
            budget=budget,
            cpu_began=options.cpu_began,
            saving=self._saving(request, plan, waiting),
        )
        return self._execute(job, lease, messages)

    def _execute(self, job: Job, lease: Heartbeat, messages: list[str]) -> Receipt:
        """Execute a plan, and note what doesn't wait for a cheaper time any more."""
        if job.plan.empty and not job.plan.broken and not is_drift_unjudged(job):
            return record_idle_run(job, lease.lease, messages)
        # Only a run with steps needs Polars and the scheduler.
        from tidemill.runs.io.execute import execute

        receipt = execute(job, lease, messages)
        if job.engines.hops.is_measured:
            cluster = import_module("tidemill.project.cluster_engine")
            cluster.keep_hops(self._workspace.settings, job.engines.hops)
        if self._plans.off_peak is not None:
            self._plans.off_peak.note_done(job.plan, receipt)
        return receipt

    def _plan(
        self, state: State, request: Request, hold: Hold
    ) -> tuple[Plan, tuple[DeferredWork, ...]]:
        """The plan of a request without the work that waits, and that work."""
        plan, off_peak = self._plans.make_on(state, request), self._plans.off_peak
        if off_peak is None or hold == "nothing":
            return plan, ()
        waiting = off_peak.waiting(plan, all_of_it=hold == "all")
        if not waiting:
            return plan, ()
        # Without it other steps have less to do.
        held = held_partitions(waiting)
        return self._plans.make_on(state, replace(request, held=held)), waiting

    def _saving(
        self, request: Request, plan: Plan, waiting: Sequence[DeferredWork]
    ) -> Callable[[Sequence[StageTotals]], OffPeakSaving | None] | None:
        """Note what waits, and return what tells what the run saved; None if nothing in it had waited."""
        off_peak = self._plans.off_peak
        if off_peak is None:
            return None
        off_peak.note(plan, waiting, is_partial=request.is_partial)
        return off_peak.saving(plan)

    def _budget(self, state: State, plan: Plan) -> RunBudget | None:
        """What a run may spend, if that is limited; BudgetError if nothing could begin."""
        if not self._workspace.has_budgets(state):
            return None
        module = import_module("tidemill.project.budgets")
        found: RunBudget | None = module.run_budget(self._workspace, state, plan)
        return found

    def _take_lease(self, command: str, wait_s: float | None) -> Heartbeat:
        """Take the lease of the environment; without one nothing is scanned."""
        space = self._workspace
        try:
            return take_lease(space.tools, space.environment, self._holder(command), wait_s)
        except BaseException:
            end_scan()
            raise

    def _holder(self, command: str) -> dict[str, str]:
        """This process; where deliveries are attested also the commit of its code."""
        holder = this_process(command)
        if self._workspace.settings.attest.key:
            holder |= code_commit(self._workspace.root)
        return holder


def _cpu_began() -> float:
    """The CPU seconds of this process when the work of a run began, which begins now at the latest."""
    began = take_work_began()
    return cpu_with_children() if began is None else began
