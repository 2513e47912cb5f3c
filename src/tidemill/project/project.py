"""The composition root: opens adapters, reads the workflow, and puts plan and run together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tidemill.core.errors import ConflictError, DeclarationError, UsageError, did_you_mean
from tidemill.core.partition import WHOLE
from tidemill.environments.io.compare import StageApart, differ, differ_in_rows
from tidemill.environments.io.environments import (
    Environments,
    begin,
    foreseen,
    refuse_over,
    standing,
    tend,
)
from tidemill.environments.io.promotion import refuse_unlike
from tidemill.environments.io.terms import Terms
from tidemill.history.io.runs import History
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.run import Receipt, RunInfo
from tidemill.lineage.impact import Consumer, readers
from tidemill.lineage.io.git_ref import stages_at
from tidemill.lineage.io.origins import Facts
from tidemill.lineage.stage_changes import Against, earlier, members, moved
from tidemill.lineage.versioning import review
from tidemill.planning.plan import Now, Plan
from tidemill.planning.planner import make_plan, scope_of
from tidemill.planning.request import Request, request_of
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Tools
from tidemill.project.check import check
from tidemill.project.composition import (
    compile_rules,
    count_rows,
    elsewhere,
    look,
    open_tools,
    probe,
    run_id,
    this_platform,
)
from tidemill.project.settings import Settings, find_settings, load_workflow
from tidemill.reuse.io.evidence import Known, faults_of, gather
from tidemill.reuse.recipe import Recipe, all_columns, recipe_of
from tidemill.runs.io.idle_run import rest
from tidemill.runs.io.job import Elsewhere, Job, Progress, Unwatched, absent_from
from tidemill.runs.io.lease import Heartbeat, take_lease
from tidemill.runs.io.recovery import recover
from tidemill.runs.io.repeatability_check import command_for, repeat
from tidemill.runs.repeatability import Repeated, notes_of
from tidemill.runs.totals import Price
from tidemill.sources.io.listing import scan
from tidemill.workflow.environment import PRODUCTION, environment_of
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    import polars as pl

    from tidemill.contracts.profiles.record import Profile
    from tidemill.environments.row_diff import RowsApart
    from tidemill.quarantine.io.release import Quarantine
    from tidemill.steps.io.debug import Trial

T = TypeVar("T")


def open_project(
    path: str | Path | None = None,
    *,
    workflow: str | Workflow | None = None,
    env: str = PRODUCTION,
    sample: float | None = None,
    profile: str | None = None,
) -> Project:
    """Open the project in `path` (default: the current folder, or the nearest one above with settings).

    `workflow` is `module:name` or a Workflow, and overrides the settings. An environment `env` that isn't
    there yet begins with its first run, as a branch of production; if a `sample` is given, on that share
    of the rows of its sources, and with a `profile`, as that says in the settings. Raises UsageError when
    there is no project or profile, or `env` is no name, DeclarationError when the workflow has faults.
    """
    environment = environment_of(env)
    start = Path(path or ".").resolve()
    if isinstance(workflow, Workflow):
        settings = Settings(root=start, workflow=workflow.name)
        return Project(settings, workflow, environment, sample, profile)
    settings = find_settings(start, workflow)
    return Project(settings, load_workflow(settings), environment, sample, profile)


class Project:
    """A workflow with its state: what is published, what would run, and running it."""

    def __init__(
        self,
        settings: Settings,
        workflow: Workflow,
        environment: str,
        sample: float | None = None,
        profile: str | None = None,
    ) -> None:
        self._terms = Terms(
            sample=sample, profile=profile, profiles=settings.profiles, place=settings.place
        )
        self._terms.refuse_in(environment)
        self.settings = settings
        self.environment = environment
        self._declared: Flow = seal(workflow)
        self._flow: Flow | None = self._declared if environment == PRODUCTION else None
        self._opened: Tools | None = None
        self._known: Known | None = None
        self._recipes: dict[str, Recipe] | None = None

    @property
    def root(self) -> Path:
        """The project's folder; sources and deliveries are relative to it."""
        return self.settings.root

    @property
    def home(self) -> Path:
        """Where the state is."""
        return self.root / self.settings.home

    @property
    def flow(self) -> Flow:
        """The workflow's stages; on a sample or with a profile, as they are there."""
        if self._flow is None:
            self._foresee()
        assert self._flow is not None
        return self._flow

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """What every stage does, as digests."""
        if self._recipes is None:
            here = this_platform()
            self._known = gather(self.flow, self.tools.probes, here, probe)
            self._recipes = {
                stage.name: recipe_of(stage, self._known.evidence[stage.name], here)
                for stage in self.flow.stages
            }
        return self._recipes

    @property
    def tools(self) -> Tools:
        """The adapters, opened when they are first needed; a new home ignores itself in git."""
        if self._opened is None:
            memo = self.settings.memo or self.home / "memo"
            self._opened = open_tools(self.root, self.home, self.root / memo)
        return self._opened

    def stage(self, name: str) -> Stage:
        """A stage by name; UsageError names the nearest one."""
        if name not in self.flow.names:
            advice = did_you_mean(name, self.flow.names)
            raise UsageError(f"there is no stage {name!r} ({advice})")
        return self.flow[name]

    @property
    def price(self) -> Price:
        """What a CPU hour costs, as the settings say; `price.of(plan.estimate.cpu_s)` is money."""
        return Price(cpu_hour=self.settings.cpu_hour, currency=self.settings.currency)

    def state(self) -> State:
        """What is published now; UsageError when there is no such environment."""
        return standing(self.tools.ledger, self.environment)

    def _foresee(self, *, whole: bool = False) -> State:
        """What a run finds; one in an environment that isn't there yet begins with what production has."""
        state = foreseen(self.tools.ledger, self.environment, whole=whole)
        if self._flow is None:
            self._flow = self._terms.flow(self._declared, state)
        return state

    def _look(self, use: Callable[[State], T]) -> T:
        """What `use` makes of the state; once more, of all of it, when a run publishes meanwhile."""
        try:
            return use(self.state())
        except ConflictError:
            return use(standing(self.tools.ledger, self.environment, whole=True))

    def plan(
        self,
        stage: str = "",
        *,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        again: bool = False,
        train: Iterable[str] = (),
    ) -> Plan:
        """What would run and why; nothing is changed.

        Raises DeclarationError when a stage that would run doesn't give what its contract says.
        `stage` with what it needs (default: all), only time partitions from `since` to `until`
        (both inclusive, such as "2013-03"), at most `limit` partitions a stage, `again` although
        they are current, and the models in `train` although no trigger says so.
        """
        request = request_of(stage, since, until, limit, again, train)
        try:
            return self._plan(request, self._foresee())
        except ConflictError:
            return self._plan(request, self._foresee(whole=True))
        finally:
            self.tools.outside.close()

    def _plan(self, request: Request, state: State) -> Plan:
        refuse_over(state, self.environment, self.tools.clock())
        scope = scope_of(self.flow, request)
        scans = {
            stage.name: scan(stage, self.tools, state.sources, count_rows, look)
            for stage in self.flow.stages
            if stage.kind is Kind.INGEST and stage.name in scope
        }
        now = Now(
            heads=state.heads,
            recipes=state.recipes,
            live=state.live,
            decisions=state.decisions,
            sources=state.sources,
            settled=state.settled,
            rulings=state.rulings,
            costs=state.costs,
            at=self.tools.clock(),
        )
        known = self.tools.ledger.traces
        plan = make_plan(self.flow, self.recipes, now, scans, known, request, self.environment)
        absent = absent_from(self.tools.artifacts, plan, state)
        if absent:
            now = replace(now, absent=absent)
            plan = make_plan(self.flow, self.recipes, now, scans, known, request, self.environment)
        self._refuse(plan)
        return plan

    def _refuse(self, plan: Plan) -> None:
        """DeclarationError when a stage that would run doesn't give what its contract says."""
        recipes = self.recipes
        assert self._known is not None
        running = plan.by_stage()
        faults = faults_of(self._known, running)
        faults += [fault for name in running for fault in recipes[name].faults]
        if faults:
            raise DeclarationError(f"workflow {self.flow.name!r}", faults)

    def run(  # noqa: PLR0913 - a request, said in keywords
        self,
        stage: str = "",
        *,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        again: bool = False,
        train: Iterable[str] = (),
        wait_s: float = 0.0,
        command: str = "tm.open().run()",
        progress: Progress | None = None,
        inline: bool = False,
    ) -> Receipt:
        """Do what `plan` with the same arguments says, and return what it did and cost.

        With `inline` all is done in this thread, one step after the other: breakpoints work, and
        limits of stages don't hold.
        Raises ConflictError when another run holds the environment for longer than `wait_s` seconds.
        A failed step doesn't raise: see the receipt's `exit_code` and `messages`.
        """
        request = request_of(stage, since, until, limit, again, train)
        lease = take_lease(self.tools, self.environment, this_process(command), wait_s)
        try:
            return self._run(request, lease, command, progress or Unwatched(), inline=inline)
        finally:
            self.tools.outside.close()
            lease.close()

    def promote(
        self,
        source: str,
        *,
        train: Iterable[str] = (),
        wait_s: float = 0.0,
        command: str = "tm.open().promote()",
        progress: Progress | None = None,
    ) -> Receipt:
        """Take what the environment `source` does into this one, with all that is published here.

        Plans here with the code at hand, which must be what `source` ran (else UsageError), binds what is
        known, runs the rest, and publishes all of it in one transaction, or nothing when a step fails.
        Models are trained when they are due here, or among `train`.
        Raises ConflictError when a head moved meanwhile, or as `run` does.
        """
        lease = take_lease(self.tools, self.environment, this_process(command), wait_s)
        try:
            tune = partial(self._terms.tuned, self._declared)
            refuse_unlike(self.tools, tune, self.recipes, source, self.environment)
            request = Request(train=frozenset(train))
            return self._run(request, lease, command, progress or Unwatched(), at_once=True)
        finally:
            self.tools.outside.close()
            lease.close()

    def _run(
        self,
        request: Request,
        lease: Heartbeat,
        command: str,
        watch: Progress,
        *,
        inline: bool = False,
        at_once: bool = False,
    ) -> Receipt:
        words = [] if at_once else begin(self.tools, self.environment, self._terms, lease)
        state = self.state()
        died = bool(state.open_runs)
        recovered = recover(self.tools, state, lease)
        if recovered:
            words, state = [*words, *recovered], self.state()
        plan, run = self._plan(request, state), run_id()
        words += tend(self.environments, state, self.tools.clock())
        job = Job(
            tools=self.tools,
            flow=self.flow,
            recipes=self.recipes,
            plan=plan,
            state=state,
            run=run,
            command=command,
            price=self.price,
            progress=watch,
            # What took a run along may do so again.
            elsewhere=Elsewhere()
            if inline
            else elsewhere(self.settings, self.environment, run, careful=died),
            at_once=at_once,
        )
        if plan.empty and not plan.broken:
            return rest(job, lease, words)
        from tidemill.runs.io.execute import execute

        return execute(job, lease, words)

    @property
    def environments(self) -> Environments:
        """The environments of the project: to list, create and drop."""
        return Environments(self.tools, self._terms)

    def diff(self, other: str, stage: str = "") -> tuple[StageApart, ...]:
        """What this environment holds or makes differently than `other`, of one stage or of all.

        Compares partitions and hashes of columns; no rows are read. UsageError when either isn't there.
        """
        stages = [self.stage(stage).name] if stage else self.flow.names
        return differ(self.tools, stages, self.environment, other)

    def diff_rows(self, other: str, stage: str, partition: str = WHOLE) -> RowsApart:
        """How the rows of a partition differ from those in the environment `other`, by their key."""
        return differ_in_rows(self.tools, self.stage(stage), self.environment, other, partition)

    def check(self, *, twice: int = 0) -> tuple[str, ...]:
        """Hold every transform against its contract without data; notes on what can't be reused.

        With `twice` also on what didn't come out the same when it was run again: see `repeat`. Raises
        DeclarationError with every fault.
        """
        recipes = self.recipes
        assert self._known is not None
        probed = self._known.probed
        notes = check(
            self.flow,
            recipes,
            self.settings.profiles.values(),
            # What was probed for the recipes a moment ago needn't be called again.
            lambda stage: probed.get(stage.name) or probe(stage),
            compile_rules,
        )
        return (*notes, *notes_of(self.flow, self.repeat(twice))) if twice else notes

    def against(self, ref: str, workflow: str | None = None) -> Against:
        """What changed since a git ref: stages that came, went or were renamed, and their contracts.

        `workflow` is where it was then, if not where the settings of then say. Raises UsageError without
        such a ref, TidemillError when the workflow of then can't be imported.
        """
        then = stages_at(self.root, ref, workflow)
        moves = moved(then, members(self.flow))
        before = earlier(then, moves)
        found = (
            review(stage.name, before[stage.name], stage.output, self.consumers(stage.name))
            for stage in self.flow.stages
            if stage.output is not None and stage.name in before
        )
        changed = tuple(item for item in found if item.diff.changes or item.faults)
        return Against(stages=moves, contracts=changed)

    def consumers(self, stage: str) -> tuple[Consumer, ...]:
        """The stages that read a stage, each with what it reads of it."""
        return readers(self.flow, self.recipes, stage)

    def repeat(self, sample: int = 3) -> tuple[Repeated, ...]:
        """Run up to `sample` published partitions of each transform twice, and publish nothing.

        The processes have other numbers of threads and other hash seeds. UsageError for a workflow
        that isn't in a module: no other process could import it.
        """
        command = command_for(self.root, self.settings.workflow, self.environment)
        return repeat(self.facts(), sample, command)

    def facts(self) -> Facts:
        """What explanations are made of: the flow, its recipes, the state, the ledger."""
        # All of it at once, so that no run can move it while it is being explained.
        state = standing(self.tools.ledger, self.environment, whole=True)
        return Facts(flow=self.flow, recipes=self.recipes, state=state, ledger=self.tools.ledger)

    def debug(self, stage: str, partition: str) -> Trial:
        """Execute one step in this process and publish nothing; what it made and what was found."""
        from tidemill.steps.io.debug import attempt

        subject = self.stage(stage)
        # A probe would stop at the stage's breakpoints before there is any row to look at.
        reads = all_columns(subject)
        return self._look(
            lambda state: attempt(self.tools, self.flow, subject, state, partition, reads)
        )

    def read(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The published rows of a partition, or of all of them; UsageError names what there is."""
        return self._rows(stage, partition)

    def profile(
        self, stage: str, partition: str | None = None, until: str | None = None
    ) -> Profile:
        """What is in the columns of a partition, of those from `partition` to `until`, or of all.

        Counts, extremes, moments, histograms and the most frequent values; large partitions are
        stored with theirs, so that no rows are read. UsageError names the partitions that there are.
        """
        subject = self.stage(stage)
        read_profile = import_module("tidemill.store.published").read_profile
        found: Profile = self._look(
            lambda state: read_profile(self.tools, subject, state, partition, until)
        )
        return found

    def stored_profile(self, stage: str, partition: str | None = None) -> Profile | None:
        """As `profile`, where it is stored; None where rows would have to be read."""
        subject = self.stage(stage)
        stored_profile = import_module("tidemill.store.published").stored_profile
        found: Profile | None = self._look(
            lambda state: stored_profile(self.tools, subject, state, partition)
        )
        return found

    def quarantined(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The rows that were quarantined, with the rules that each broke in `_reasons`."""
        return self._rows(stage, partition, bad=True)

    def _rows(self, stage: str, partition: str | None, *, bad: bool = False) -> pl.LazyFrame:
        from tidemill.store.published import read, read_quarantine

        subject, take = self.stage(stage), read_quarantine if bad else read
        return self._look(lambda state: take(self.tools, subject, state, partition))

    @property
    def quarantine(self) -> Quarantine:
        """The quarantined rows: to list, look at, export, release (corrected or not) and drop."""
        # Only who asks for rows needs Polars.
        kind: type[Quarantine] = import_module("tidemill.quarantine.io.release").Quarantine
        ledger, where = self.tools.ledger, self.environment
        return kind(self.tools, where, self.stage, lambda: standing(ledger, where, whole=True))

    @property
    def history(self) -> History:
        """What was run: runs, their attempts, what their steps printed and logged, figures of stages."""
        return History(self.tools.ledger, self.tools.logs)

    def runs(self, limit: int = 20) -> list[RunInfo]:
        """The last runs, newest first."""
        return self.history.runs(limit)

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and connections."""
        if self._opened is not None:
            self._opened.outside.close()
            self._opened.ledger.close()
