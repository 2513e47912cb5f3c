"""The composition root: opens adapters, reads the workflow, and puts plan and run together."""

from __future__ import annotations

import importlib
import importlib.metadata
import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.decide.declare import seal
from tidemill.decide.draft import Now, Request, Scan
from tidemill.decide.measure import Price
from tidemill.decide.plan import make_plan, scope_of
from tidemill.decide.recipe import Recipe, recipes_of
from tidemill.domain.errors import SourceError, TidemillError, UsageError, did_you_mean
from tidemill.domain.partition import WHOLE, bounds_of
from tidemill.domain.plan import Plan
from tidemill.domain.run import Receipt, RunInfo
from tidemill.domain.stage import Flow, Kind, Stage
from tidemill.domain.workflow import Workflow
from tidemill.settings import Settings, find_settings

if TYPE_CHECKING:
    import polars as pl

    from tidemill.act.run import Progress
    from tidemill.act.tools import Tools
    from tidemill.ports import State

PRODUCTION = "prod"


def open_project(
    path: str | Path | None = None, *, workflow: str | Workflow | None = None, env: str = PRODUCTION
) -> Project:
    """Open the project in `path` (default: the current folder, or the nearest one above with settings).

    `workflow` is `module:name` or a Workflow, and overrides the settings. Raises UsageError when there
    is no project, DeclarationError when the workflow has faults.
    """
    start = Path(path or ".").resolve()
    if isinstance(workflow, Workflow):
        return Project(Settings(root=start, workflow=workflow.name), workflow, env)
    settings = find_settings(start, workflow)
    return Project(settings, load_workflow(settings), env)


def load_workflow(settings: Settings) -> Workflow:
    """Import the module that the settings name, with the project's folder first on the path."""
    module, _, name = settings.workflow.partition(":")
    if not name:
        raise UsageError(f"workflow {settings.workflow!r} is not module:name, such as flights:flow")
    root = str(settings.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise UsageError(f"there is no module {module!r} in {root} or on the path") from error
    workflow = getattr(found, name, None)
    if not isinstance(workflow, Workflow):
        flows = [key for key, value in vars(found).items() if isinstance(value, Workflow)]
        raise UsageError(f"{module} has no workflow {name!r} ({did_you_mean(name, flows)})")
    return workflow


class Project:
    """A workflow with its state: what is published, what would run, and running it."""

    def __init__(self, settings: Settings, workflow: Workflow, environment: str) -> None:
        self.settings = settings
        self.environment = environment
        self.flow: Flow = seal(workflow)
        self._opened: Tools | None = None
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
    def recipes(self) -> Mapping[str, Recipe]:
        """What every stage does, as digests."""
        if self._recipes is None:
            self._recipes = recipes_of(self.flow, importlib.metadata.version("polars"))
        return self._recipes

    @property
    def tools(self) -> Tools:
        """The adapters, opened when they are first needed; a new home ignores itself in git."""
        if self._opened is None:
            self._opened = _open_tools(self.root, self.home)
        return self._opened

    def stage(self, name: str) -> Stage:
        """A stage by name; UsageError names the nearest one."""
        if name not in self.flow.names:
            advice = did_you_mean(name, self.flow.names)
            raise UsageError(f"there is no stage {name!r} ({advice})")
        return self.flow[name]

    def state(self) -> State:
        """What is published now."""
        return self.tools.ledger.state(self.environment)

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

        `stage` with what it needs (default: all), only time partitions from `since` to `until`
        (both inclusive, such as "2013-03"), at most `limit` partitions a stage, `again` although
        they are current, and the models in `train` although no trigger says so.
        """
        request = _request(stage, since, until, limit, again, train)
        return self._plan(request, self.state())

    def _plan(self, request: Request, state: State) -> Plan:
        scope = scope_of(self.flow, request)
        scans = {
            stage.name: self._scan(stage, state)
            for stage in self.flow.stages
            if stage.kind is Kind.INGEST and stage.name in scope
        }
        now = Now(
            heads=state.heads, recipes=state.recipes, live=state.live, decisions=state.decisions
        )
        known = self.tools.ledger.traces
        return make_plan(self.flow, self.recipes, now, scans, known, request, self.environment)

    def _scan(self, stage: Stage, state: State) -> Scan:
        from tidemill.act.listing import list_files

        assert stage.output is not None
        known = state.sources.get(stage.name, {})
        try:
            return list_files(stage, self.root, known, self.tools.clock())
        except SourceError as error:
            return Scan(files={}, broken={stage.name: str(error)})

    def run(
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
    ) -> Receipt:
        """Do what `plan` with the same arguments says, and return what it did and cost.

        Raises ConflictError when another run holds the environment for longer than `wait_s` seconds.
        A failed step doesn't raise: see the receipt's `exit_code` and `messages`.
        """
        from tidemill.act.holder import this_process
        from tidemill.act.tenure import take_lease

        request = _request(stage, since, until, limit, again, train)
        lease = take_lease(self.tools, self.environment, this_process(command), wait_s)
        try:
            return self._run(request, lease, command, progress or _silent)
        finally:
            lease.close()

    def _run(self, request: Request, lease: Any, command: str, progress: Progress) -> Receipt:
        from tidemill.act.recover import nothing_to_do, recover

        state = self.state()
        messages = recover(self.tools, state, lease)
        if messages:
            state = self.state()
        plan = self._plan(request, state)
        if plan.empty and not plan.broken and state.recipes == {
            name: recipe.parts for name, recipe in self.recipes.items()
        }:
            return nothing_to_do(plan, self.flow, messages)
        from tidemill.act.run import Job, execute

        job = Job(
            tools=self.tools,
            flow=self.flow,
            recipes=self.recipes,
            plan=plan,
            state=state,
            run=_run_id(),
            command=command,
            price=Price(cpu_hour=self.settings.cpu_hour, currency=self.settings.currency),
            progress=progress,
        )
        return execute(job, lease, messages)
