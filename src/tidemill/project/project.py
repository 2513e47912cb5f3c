"""The composition root: opens a project and the services that work on it.

Services that a run doesn't need are imported when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from warnings import warn

from tidemill.core.partition import WHOLE
from tidemill.governance.permissions import Actor
from tidemill.ledger.price import Price
from tidemill.ledger.run import Receipt, RunFailed, RunInfo
from tidemill.planning.plan import Plan
from tidemill.planning.request import Request, request_of
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.project.operation_services import OperationServices
from tidemill.project.settings import Settings, find_settings, load_workflow
from tidemill.project.workspace import Workspace
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.environment import PRODUCTION, check_environment_name
from tidemill.workflow.stage import Flow, Stage
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    import polars as pl

    from tidemill.contracts.profiles.record import Profile
    from tidemill.environments.row_diff import RowDiff
    from tidemill.governance.identity_summary import Identity
    from tidemill.operations.stage_states import StageGraph, Surroundings
    from tidemill.project.attestations import Attestations
    from tidemill.project.audit import Audit
    from tidemill.project.checks import Checks
    from tidemill.project.contracts import Contracts
    from tidemill.project.data import PublishedData
    from tidemill.project.delivered_tables import DeliveredTables
    from tidemill.project.drift import Drift
    from tidemill.project.drift_report import DriftReport
    from tidemill.project.environments import ProjectEnvironments, StageDiff
    from tidemill.project.erasure import Erasures
    from tidemill.project.keys import Keys
    from tidemill.project.lineage import Lineage
    from tidemill.project.loaded_model import LoadedModel
    from tidemill.project.logins import Logins
    from tidemill.project.mlflow import Mlflow
    from tidemill.project.models import Models
    from tidemill.project.openlineage import OpenLineage
    from tidemill.project.policy import Policy
    from tidemill.project.quarantine import Quarantine
    from tidemill.project.reviews import Reviews
    from tidemill.project.rollouts import Rollouts
    from tidemill.project.runs import Progress
    from tidemill.project.serving import Serving
    from tidemill.project.tokens import Tokens
    from tidemill.project.trials import DebugOutput, Trials
    from tidemill.project.verification import StoredState
    from tidemill.runs.repeatability import Comparison


def open_project(
    path: str | Path | None = None,
    *,
    workflow: str | Workflow | None = None,
    env: str = PRODUCTION,
    sample: float | None = None,
    profile: str | None = None,
    params: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
) -> Project:
    """Open the project in `path` (default: the current folder, or the nearest one above with settings).

    `workflow` is `module:name` or a Workflow, and overrides the settings. A new environment `env` is
    created by its first run as a branch of production; it then works on the share `sample` of the
    source rows, and with the run profile `profile` of the settings. `params` are parameters of models for
    what this project plans and runs, in an environment other than production, by model and name
    (`{"demand": {"rounds": 10}}`) or as texts (`["demand.rounds=10"]`). Raises UsageError when there is no
    such project or profile or `env` isn't a valid name, DeclarationError when the workflow has faults.
    """
    environment = check_environment_name(env)
    start = Path(path or ".").resolve()
    if isinstance(workflow, Workflow):
        settings = Settings(root=start, workflow=workflow.name)
        return Project(settings, workflow, environment, sample, profile, params)
    settings = find_settings(start, workflow)
    return Project(settings, load_workflow(settings), environment, sample, profile, params)


class Project(OperationServices):
    """An open project: a workflow in an environment, and the services that work on it."""

    def __init__(
        self,
        settings: Settings,
        workflow: Workflow | Flow,
        environment: str,
        sample: float | None = None,
        profile: str | None = None,
        params: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
    ) -> None:
        self.workspace = Workspace(settings, workflow, environment, sample, profile, params=params)

    def __repr__(self) -> str:
        """The workflow, the environment and the folder; nothing is opened or read."""
        space = self.workspace
        return f"<Project {space.declared.name} in {space.environment}, {space.root}>"

    def _repr_html_(self) -> str:
        """Render the graph of the stages and a row for each, for notebooks; nothing is opened or read."""
        draw = import_module("tidemill.workflow.workflow_notebook").stages_html
        html: str = draw(self.workspace.declared.stages, repr(self)[1:-1])
        return html

    def acting_as(self, actor: Actor, token: str = "") -> Project:
        """The same project for another actor, with the token that authenticated it, as servers use it."""
        other = copy(self)
        other.__dict__.clear()
        other.workspace = self.workspace.acting_as(actor, token)
        # What was read of runs is the same for everybody who may read it.
        other.__dict__["_history"] = self._history
        return other

    @property
    def settings(self) -> Settings:
        """The settings in pyproject.toml."""
        return self.workspace.settings

    @property
    def environment(self) -> str:
        """The name of the environment."""
        return self.workspace.environment

    @property
    def root(self) -> Path:
        """The project's folder. Paths of sources and deliveries are relative to it."""
        return self.workspace.root

    @property
    def home(self) -> Path:
        """The folder that holds the ledger and the stored objects."""
        return self.workspace.home

    @property
    def flow(self) -> Flow:
        """The workflow's stages, with the sample and the profile of the environment."""
        return self.workspace.flow

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """What each stage computes, as digests."""
        return self.workspace.recipes

    @property
    def tools(self) -> Runtime:
        """The adapters: the ledger, the object store, and the others. They open at first use."""
        return self.workspace.tools

    @property
    def price(self) -> Price:
        """The price of a CPU hour in the settings; `price.of(plan.estimate.cpu_s)` is an amount."""
        return self.workspace.price

    def stage(self, name: str) -> Stage:
        """The stage of that name; UsageError suggests the nearest one."""
        return self.workspace.stage(name)

    def known_stage(self, name: str) -> Stage:
        """The stage of that name, also if it is published but no longer declared; else UsageError."""
        return self.workspace.known_stage(name)

    def state(self) -> State:
        """The published state of the environment; UsageError when the environment doesn't exist."""
        return self.workspace.state()

    def plan(  # noqa: PLR0913 - a request in keywords
        self,
        stage: str = "",
        partition: str = "",
        *,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        again: bool = False,
        train: Iterable[str] = (),
        verify_sources: bool = False,
        allow_removals: str = "",
    ) -> Plan:
        """Plan what would run and why; change nothing.

        The plan covers `stage` and its upstream stages (default: all stages), or only one `partition` of it
        and what that reads; time partitions from `since` to `until` (inclusive, such as "2013-03"), and at
        most `limit` partitions a stage. With
        `again` up-to-date partitions rerun; the models in `train` are trained even if no trigger fires. With
        `verify_sources` every source file is hashed, not only those that look changed. What sources lost
        is removed if `allow_removals` is the id of the plan's `removals`.
        Raises DeclarationError with every fault that `check` finds in the stages that the plan covers.
        """
        request = request_of(
            stage, since, until, limit, again, train, partition, verify_sources, allow_removals
        )
        return self.plans.make(request)

    def run(  # noqa: PLR0913 - a request in keywords
        self,
        stage: str = "",
        partition: str = "",
        *,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        again: bool = False,
        train: Iterable[str] = (),
        verify_sources: bool = False,
        allow_removals: str = "",
        wait_s: float = 0.0,
        command: str = "tm.open().run()",
        progress: Progress | None = None,
        inline: bool = False,
        fail_fast: bool = False,
        off_peak: bool = False,
        raise_on_failure: bool = True,
    ) -> Receipt:
        """Execute what `plan` with the same arguments plans; return what it did and cost.

        With `inline` steps run one after the other in this thread: breakpoints work, and resource
        limits of stages don't apply. With `fail_fast` nothing begins any more once a step has failed. With
        `off_peak` work that can wait for a cheaper time is left to a later run (`[tool.tidemill.offpeak]`).
        Raises ConflictError when another run holds the environment for longer than `wait_s` seconds. When a
        step failed, gates refused a model or the run was interrupted, raises RunFailed, which has the
        `receipt`; without `raise_on_failure` returns it.
        """
        request = request_of(
            stage, since, until, limit, again, train, partition, verify_sources, allow_removals
        )
        receipt = self._runs.run(
            request,
            command=command,
            wait_s=wait_s,
            progress=progress,
            inline=inline,
            fail_fast=fail_fast,
            hold="later" if off_peak else "nothing",
        )
        return _checked(receipt) if raise_on_failure else receipt

    def promote(  # noqa: PLR0913 - a request in keywords
        self,
        source: str,
        *,
        train: Iterable[str] = (),
        allow_removals: str = "",
        again: bool = False,
        wait_s: float = 0.0,
        command: str = "tm.open().promote()",
        progress: Progress | None = None,
        fail_fast: bool = False,
        raise_on_failure: bool = True,
    ) -> Receipt:
        """Promote the environment `source` to this one, atomically.

        Plans here with the current code, which must be what `source` ran (else UsageError). Reuses
        known results, runs the rest, and publishes everything in one transaction. Publishes nothing when a
        step fails, rules or people hold back a table or a model, or a source lost rows (`allow_removals`
        is as for `plan`). Trains the models that are due here, and those in `train`. With `again` what gates
        or people refused is judged once more. Raises ConflictError when something was published here
        meanwhile, or as `run` does; RunFailed as `run` does.
        """
        request = Request(train=frozenset(train), allow_removals=allow_removals, ask_again=again)
        receipt = self._runs.promote(
            source, request, command=command, wait_s=wait_s, progress=progress, fail_fast=fail_fast
        )
        return _checked(receipt) if raise_on_failure else receipt

    def debug(self, stage: str, partition: str) -> DebugOutput:
        """Execute one step in this process and publish nothing; return its rows and findings."""
        return self.trials.debug(stage, partition)

    @property
    def trials(self) -> Trials:
        """Single steps that are executed without being published."""
        return cast("Trials", self._service("trials", "Trials"))

    def check(self, *, twice: int = 0) -> tuple[str, ...]:
        """Check contracts and wiring without data; return notes on what can't be reused.

        With `twice` also on columns that differ when that many partitions a stage run twice: see
        `repeat`. Raises DeclarationError with every fault.
        """
        return self.checks.notes(twice=twice)

    def repeat(self, sample: int = 3) -> tuple[Comparison, ...]:
        """Run up to `sample` published partitions of each transform twice, and publish nothing.

        The two processes differ in their number of threads and their hash seed. UsageError for a
        workflow that isn't in a module, which no other process can import.
        """
        return self.checks.repeat(sample)

    @property
    def checks(self) -> Checks:
        """Checks of the workflow, without data, and of whether stages are repeatable."""
        return cast("Checks", self._service("checks", "Checks"))

    @property
    def environments(self) -> ProjectEnvironments:
        """The environments of the project: list, create, compare and drop them."""
        return cast("ProjectEnvironments", self._service("environments", "ProjectEnvironments"))

    def diff(self, other: str, stage: str = "") -> tuple[StageDiff, ...]:
        """The stages whose partitions or recipes differ from those in the environment `other`.

        Compares hashes of columns and reads no rows. UsageError when either environment doesn't exist.
        """
        return self.environments.diff(other, stage)

    def diff_rows(self, other: str, stage: str, partition: str = WHOLE) -> RowDiff:
        """How the rows of a partition differ from those in the environment `other`, by their key."""
        return self.environments.diff_rows(other, stage, partition)

    @property
    def data(self) -> PublishedData:
        """The published and quarantined rows, with profiles."""
        return cast("PublishedData", self._service("data", "PublishedData"))

    def read(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The published rows of a partition, or of all; UsageError names the partitions there are."""
        return self.data.read(stage, partition)

    def profile(
        self, stage: str, partition: str | None = None, until: str | None = None
    ) -> Profile:
        """The profile of a partition, of those from `partition` to `until`, or of all.

        It has counts, extremes, moments, histograms and the most frequent values. Profiles of large
        partitions are stored, so that no rows are read. UsageError names the partitions there are.
        """
        return self.data.profile(stage, partition, until)

    def drift(self, stage: str, partition: str = "", *, rule: str = "") -> DriftReport:
        """Judge whether a stage drifted, up to a partition or now, and which columns carry the evidence.

        It uses the drift alarm of its contract, or the default one. UsageError for a stage whose partitions
        can't be compared.
        """
        service: Drift = self._service("drift", "Drift")
        return service.report(stage, partition, rule)

    def quarantined(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The quarantined rows as they came, with the rules that each broke in `_reasons`."""
        return self.data.quarantined(stage, partition)

    @property
    def quarantine(self) -> Quarantine:
        """The quarantined rows: list, export, release (corrected or not) and drop them."""
        return cast("Quarantine", self._service("quarantine", "open_quarantine"))

    @property
    def stored_state(self) -> StoredState:
        """What is stored: verify it, repair it, export and rebuild the ledger."""
        return cast("StoredState", self._service("verification", "StoredState", self._runs))

    @property
    def delivered_tables(self) -> DeliveredTables:
        """The tables that were delivered: restore an earlier version of one."""
        return cast("DeliveredTables", self._service("delivered_tables", "DeliveredTables"))

    @property
    def contracts(self) -> Contracts:
        """The contracts of the stages: find and compare them."""
        return cast("Contracts", self._service("contracts", "Contracts"))

    @property
    def lineage(self) -> Lineage:
        """Lineage and provenance, and the data dictionary."""
        return cast("Lineage", self._service("lineage", "Lineage"))

    @property
    def mlflow(self) -> Mlflow:
        """Mirrors the versions of models to a server of MLflow."""
        return cast("Mlflow", self._service("mlflow", "Mlflow"))

    @property
    def openlineage(self) -> OpenLineage:
        """Runs as events of OpenLineage: make them, send them again."""
        return cast("OpenLineage", self._service("openlineage", "OpenLineage"))

    @property
    def serving(self) -> Serving:
        """Serves the endpoints of the workflow online."""
        return cast("Serving", self._service("serving", "Serving"))

    @property
    def rollouts(self) -> Rollouts:
        """The rollouts of new versions at endpoints: what was recorded, hold, resume."""
        return cast("Rollouts", self._service("rollouts", "Rollouts"))

    @property
    def reviews(self) -> Reviews:
        """The reviews of changes by people: list, show and decide them."""
        return cast("Reviews", self._service("reviews", "Reviews"))

    @property
    def tokens(self) -> Tokens:
        """The tokens that open endpoints of the environment: create, list and revoke them."""
        return cast("Tokens", self._service("tokens", "Tokens"))

    @property
    def policy(self) -> Policy:
        """The rules of the project: list, test and replay them; explain decisions; waive rules."""
        return cast("Policy", self._service("policy", "Policy"))

    @property
    def audit(self) -> Audit:
        """Audits the ledger: checkpoints, verification, proofs, and who did what."""
        return cast("Audit", self._service("audit", "Audit"))

    @property
    def attestations(self) -> Attestations:
        """Attests how versions of models and tables were made, and verifies attestations."""
        return cast("Attestations", self._service("attestations", "Attestations"))

    @property
    def erasures(self) -> Erasures:
        """Erases people from what is stored, and lists where else their rows are."""
        return cast("Erasures", self._service("erasure", "Erasures"))

    @property
    def logins(self) -> Logins:
        """The login of the user of this process at the project's identity provider."""
        return cast("Logins", self._service("logins", "open_logins"))

    @property
    def keys(self) -> Keys:
        """Creates the keys that sign attestations and checkpoints."""
        return cast("Keys", self._service("keys", "Keys"))

    @property
    def identity(self) -> Identity:
        """Who acts, how that is known, and what it may do here."""
        space = self.workspace
        describe = import_module("tidemill.governance.identity_summary").describe_identity
        found: Identity = describe(space.actor, space.grants, self.flow.name)
        return found

    @property
    def models(self) -> Models:
        """The published model artifacts and their scores."""
        return cast("Models", self._service("models", "Models"))

    def model(self, name: str, *, candidate: bool = False) -> LoadedModel:
        """Load a model that predicts: the live one, or with `candidate` the one that was trained last.

        A model without gates has no live one: the last is loaded. Raises UsageError when there is none,
        and names the stages for another name.
        """
        return self.data.model(name, candidate=candidate)

    def graph(self, around: Surroundings | None = None) -> StageGraph:
        """The stages, who reads whom, and the state of each: of all, or around one."""
        found: StageGraph = self._service("graph", "StageGraphs", self.plans, self.metrics).read(
            around
        )
        return found

    def runs(self, limit: int = 20) -> list[RunInfo]:
        """The last `limit` runs, newest first."""
        return self.history.runs(limit)

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, report: Callable[[str], None] = warn) -> None:
        """Close files and connections; before that, make a checkpoint of the ledger if one is due.

        `report` gets what keeps a checkpoint from being made, which is a warning by default.
        """
        try:
            if self.workspace.needs_checkpoint:
                problem = self.audit.seal()
                if problem:
                    report(problem)
        finally:
            self.workspace.close()


def _checked(receipt: Receipt) -> Receipt:
    if receipt.exit_code:
        raise RunFailed(receipt)
    return receipt
