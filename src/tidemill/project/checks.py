"""Check a workflow against its contracts, without data; check that stages are repeatable."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import Fault, TidemillError, UsageError
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redactor
from tidemill.costs.budget import limit_faults
from tidemill.governance.permissions import Permission
from tidemill.governance.personal_notes import personal_notes
from tidemill.ledger.governance_events import RulesLoaded
from tidemill.lineage.impact import consumers_of
from tidemill.lineage.io.git_ref import stages_at
from tidemill.lineage.stage_changes import (
    StageEntry,
    WorkflowChanges,
    earlier_contracts,
    find_stage_changes,
    stage_entries,
    stages_as_json,
)
from tidemill.lineage.version_review import review_contract
from tidemill.project.composition import compile_rules, probe, this_platform
from tidemill.project.external_sources import OpenedSources
from tidemill.project.masked_output import masked_output
from tidemill.project.offpeak_faults import no_prices_note
from tidemill.project.setting_faults import setting_faults
from tidemill.project.settings import configured_secrets, find_settings, load_workflow
from tidemill.project.sink_obstacles import obstacle_faults
from tidemill.project.workflow_ledger import retention_faults, shared_home_notes
from tidemill.project.workspace import RULES_FILE, Workspace
from tidemill.reuse.check_notes import opaque_notes, reuse_notes
from tidemill.reuse.io.evidence import Compiler, Learner, Prober, gather_evidence, list_faults
from tidemill.reuse.recipe import reader_faults
from tidemill.runs.io.repeatability_check import command_for, run_twice
from tidemill.runs.repeatability import Comparison, describe_differences
from tidemill.runs.training_repeatability import TrainingComparison, describe_trainings
from tidemill.sources.io.file_listing import call_ingest
from tidemill.sources.io.file_root import is_stored
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.evaluation_notes import evaluation_notes
from tidemill.workflow.partition_notes import partition_notes
from tidemill.workflow.profile_params import profile_faults
from tidemill.workflow.seal import resolve_declaration
from tidemill.workflow.source import Files
from tidemill.workflow.stage import UNDECLARED, Flow, Kind, Stage
from tidemill.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of a check without faults: notes, repeated steps and trainings, changes since a git ref."""

    flow: Flow
    notes: tuple[str, ...]
    repeated: tuple[Comparison, ...] = ()
    trained: tuple[TrainingComparison, ...] = ()
    against: WorkflowChanges = field(default_factory=WorkflowChanges)


class Checks:
    """Checks the workflow of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def notes(self, *, twice: int = 0) -> tuple[str, ...]:
        """Notes on what can't be reused; with `twice` also on stages that aren't repeatable.

        Raises DeclarationError with every fault.
        """
        return self.report(twice=twice).notes

    def report(
        self, *, twice: int = 0, against: str = "", workflow: str | None = None
    ) -> CheckReport:
        """Check the workflow; also rerun `twice` partitions a stage, and compare with a git ref.

        `workflow` names the workflow at that ref. Raises DeclarationError with every fault.
        """
        space = self._workspace
        # Who doesn't use a profile isn't disturbed by its faults.
        profiles = space.settings.profiles.values()
        unfit = [fault for each in profiles for fault in profile_faults(space.declared, each)]
        unfit += [
            fault
            for each in profiles
            if each.name != space.options.profile
            for fault in limit_faults(each.budget, space.price, each.place, "budget")
        ]
        unfit += obstacle_faults(space.flow.stages, space.tools, space.environment)
        unfit += _feature_faults(
            space.flow.endpoints, {each.name: each for each in space.flow.stages}
        )
        unfit += setting_faults(space.settings, space.flow)
        unfit += retention_faults(space.settings, space.flow.names, space.tools.ledger)
        space.refuse_faults(space.flow.names, unfit)
        missing = space.missing_libraries(space.flow.names)
        gone = space.undeclared(space.preview_state())
        notes = (
            *self._notes(),
            *shared_home_notes(space.tools.ledger, space.flow),
            *(str(fault) for fault in (*missing, *_missing_store_library(space.flow))),
            *(f"{name} is published, but {UNDECLARED}: see tidemill env forget" for name in gone),
        )
        repeated, trained = self._rerun(twice, models=True) if twice else ((), ())
        if twice:
            notes = (
                *notes,
                *describe_differences(space.flow, repeated),
                *describe_trainings(trained),
            )
        changes = self.against(against, workflow) if against else WorkflowChanges()
        return CheckReport(
            flow=space.flow, notes=notes, repeated=repeated, trained=trained, against=changes
        )

    def _notes(self) -> Iterator[str]:
        """Notes on partitions, evaluations and personal data, and on stages that could be reused more."""
        space = self._workspace
        recipes = {stage.name: space.recipes[stage.name] for stage in space.flow.stages}
        yield from _rule_notes(space)
        if space.settings.offpeak.is_set:
            read_prices = import_module("tidemill.offpeak.io.price_reader").read_prices
            note = read_prices(space.settings.offpeak, space.root, space.tools.clock()).note
            yield from [no_prices_note(note)] if note else []
        yield from partition_notes(space.flow)
        yield from evaluation_notes(space.flow)
        yield from personal_notes(space.flow, recipes)
        yield from opaque_notes(recipes)
        for stage in space.flow.stages:
            query = space.evidence.evidence[stage.name].query
            yield from reuse_notes(stage, recipes[stage.name], query)

    def repeat(self, sample: int = 3) -> tuple[Comparison, ...]:
        """Run up to `sample` published partitions of each transform twice, and publish nothing.

        The two processes differ in their number of threads and their hash seed. UsageError for a
        workflow that isn't in a module, which no other process can import.
        """
        return self._rerun(sample)[0]

    def _rerun(
        self, sample: int, *, models: bool = False
    ) -> tuple[tuple[Comparison, ...], tuple[TrainingComparison, ...]]:
        space = self._workspace
        space.require(Permission.RUN)
        command = command_for(space.root, space.settings.workflow, space.environment)
        return run_twice(space.facts(), sample, command, models=models)

    def against(self, ref: str, workflow: str | None = None) -> WorkflowChanges:
        """Compare stages and contracts with those at a git ref.

        `workflow` names the workflow at the ref if the settings there don't. Raises UsageError for an
        unknown ref, TidemillError when the workflow at the ref can't be imported.
        """
        space = self._workspace
        return changes_between(space, stages_at(space.root, ref, workflow))

    def write_stages(self, into: Path) -> None:
        """Write the stages and their contracts as JSON, for `against` in another process.

        UsageError when an installed copy of the workflow was imported, which isn't the ref's.
        """
        space = self._workspace
        require_own_module(space)
        into.write_text(json.dumps(stages_as_json(stage_entries(space.flow))), encoding="utf-8")


def changes_between(space: Workspace, then: Mapping[str, StageEntry]) -> WorkflowChanges:
    """The stages and contracts of a workspace that differ from those of an earlier version."""
    moves = find_stage_changes(then, stage_entries(space.flow))
    before = earlier_contracts(then, moves)
    found = (
        review_contract(
            stage.name,
            before[stage.name],
            stage.output,
            consumers_of(space.flow, space.recipes, stage.name),
        )
        for stage in space.flow.stages
        if stage.output is not None and stage.name in before
    )
    changed = tuple(item for item in found if item.diff.changes or item.faults)
    return WorkflowChanges(stages=moves, contracts=changed)


def require_own_module(space: Workspace) -> None:
    """Raise UsageError when an installed copy of the workflow was imported, not the project's own."""
    module = space.settings.workflow.partition(":")[0]
    file = Path(str(sys.modules[module].__file__)).resolve()
    if not file.is_relative_to(space.root):
        raise UsageError(f"{module} was imported from {file}, not from the files of the ref")


def _missing_store_library(flow: Flow) -> Iterator[Fault]:
    """Yield a fault for each stage that reads from an object store without the library for it."""
    for stage in flow.stages:
        if stage.kind is not Kind.INGEST or find_spec("obstore") is not None:
            continue
        with suppress(TidemillError):
            source = call_ingest(stage)
            if isinstance(source, Files) and is_stored(source):
                yield Fault(
                    message=f"{stage.name} reads from an object store, which needs obstore",
                    where=stage.place,
                    hint=install_command("obstore"),
                )


def _rule_notes(space: Workspace) -> Iterator[str]:
    """Notes on policy rules that no longer apply, one by one or all together."""
    if not space.has_rules:
        if any(space.tools.ledger.events(kinds=(RulesLoaded.__name__,), limit=1)):
            yield f"there are no rules any more: {RULES_FILE} is gone, and nothing is refused by it"
        return
    now = space.tools.clock()
    for rule in space.rules.rules:
        if rule.has_expired(now):
            yield (
                f"rule {rule.id} in {RULES_FILE} no longer applies since the end of {rule.expires}: remove "
                "it, or set a later date"
            )


def faults_at(folder: Path, workflow: str | None = None) -> tuple[Fault, ...]:
    """The faults of the workflow of a folder; none when its module can't be imported."""
    try:
        settings = find_settings(folder.resolve(), workflow)
        redactor = Redactor(configured_secrets(settings))
        with masked_output(redactor):
            learner = OpenedSources(settings, redactor).learn_secrets
            found = faults_in(load_workflow(settings), learner=learner)
    except TidemillError:
        return ()
    return tuple(replace(fault, message=redactor.redact(fault.message)) for fault in found)


def faults_in(
    workflow: Workflow,
    prober: Prober = probe,
    compiler: Compiler = compile_rules,
    learner: Learner = lambda url: None,
) -> tuple[Fault, ...]:
    """All faults of a workflow, between its stages and inside each of them.

    Faults between stages don't hide those inside a stage, such as a column that its query lacks.
    Needs no data or state, and writes nothing.
    """
    drawn = resolve_declaration(workflow)
    stages = drawn.checkable.stages
    known = gather_evidence(drawn.checkable, _NoCache(), this_platform(), prober, compiler, learner)
    read = [
        fault
        for stage in stages
        if (code := known.evidence[stage.name].code) is not None
        for fault in reader_faults(stage, code)
    ]
    served = _feature_faults(drawn.checkable.endpoints, {stage.name: stage for stage in stages})
    return tuple(dict.fromkeys((*drawn.faults, *list_faults(known, stages, read), *served)))


class _NoCache:
    """Probes that remember nothing."""

    def get(self, keys: Collection[str]) -> Mapping[str, QuerySummary]:
        return {}

    def put(self, found: Mapping[str, QuerySummary]) -> None:
        pass


def _feature_faults(endpoints: Sequence[Endpoint], stages: Mapping[str, Stage]) -> Iterable[Fault]:
    """Faults of endpoints whose features can't be computed for a request."""
    if not any(endpoint.features for endpoint in endpoints):
        return ()
    # Only these endpoints need Polars.
    found: Iterable[Fault] = import_module("tidemill.serving.io.feature_plan").feature_faults(
        endpoints, stages
    )
    return found
