"""Check a workflow against its contracts, without data; check that stages are repeatable."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DeclarationError, Fault, TidemillError, UsageError
from tidemill.lineage.impact import consumers_of
from tidemill.lineage.io.git_ref import stages_at
from tidemill.lineage.stage_changes import (
    WorkflowChanges,
    earlier_contracts,
    find_stage_changes,
    stage_entries,
    stages_as_json,
)
from tidemill.lineage.version_review import review_contract
from tidemill.project.composition import compile_rules, probe
from tidemill.project.settings import find_settings, load_workflow
from tidemill.project.workspace import Workspace
from tidemill.reuse.check_notes import opaque_notes, reuse_notes
from tidemill.reuse.io.evidence import Prober, source_faults
from tidemill.reuse.recipe import Recipe, reader_faults
from tidemill.runs.io.repeatability_check import command_for, run_twice
from tidemill.runs.repeatability import Comparison, describe_differences
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_params import profile_faults
from tidemill.workflow.seal import resolve_declaration
from tidemill.workflow.stage import Flow
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    from tidemill.reuse.probe import Probe

# Compiling a contract needs Polars, as probing does.
Compiler = Callable[[ContractSpec], list[Fault]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of a check without faults: notes, repeated steps, and changes since a git ref."""

    flow: Flow
    notes: tuple[str, ...]
    repeated: tuple[Comparison, ...] = ()
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
        recipes, probed = space.recipes, space.evidence.probes
        notes = check_workflow(
            space.flow,
            recipes,
            space.settings.profiles.values(),
            # What was probed for the recipes needn't be called again.
            lambda stage: probed.get(stage.name) or probe(stage),
            compile_rules,
        )
        repeated = self.repeat(twice) if twice else ()
        if twice:
            notes = (*notes, *describe_differences(space.flow, repeated))
        changes = self.against(against, workflow) if against else WorkflowChanges()
        return CheckReport(flow=space.flow, notes=notes, repeated=repeated, against=changes)

    def repeat(self, sample: int = 3) -> tuple[Comparison, ...]:
        """Run up to `sample` published partitions of each transform twice, and publish nothing.

        The two processes differ in their number of threads and their hash seed. UsageError for a
        workflow that isn't in a module, which no other process can import.
        """
        space = self._workspace
        command = command_for(space.root, space.settings.workflow, space.environment)
        return run_twice(space.facts(), sample, command)

    def against(self, ref: str, workflow: str | None = None) -> WorkflowChanges:
        """Compare stages and contracts with those at a git ref.

        `workflow` names the workflow at the ref if the settings there don't. Raises UsageError for an
        unknown ref, TidemillError when the workflow at the ref can't be imported.
        """
        space = self._workspace
        then = stages_at(space.root, ref, workflow)
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

    def write_stages(self, into: Path) -> None:
        """Write the stages and their contracts as JSON, for `against` in another process.

        UsageError when an installed copy of the workflow was imported, which isn't the ref's.
        """
        space = self._workspace
        module = space.settings.workflow.partition(":")[0]
        file = Path(str(sys.modules[module].__file__)).resolve()
        if not file.is_relative_to(space.root):
            raise UsageError(f"{module} was imported from {file}, not from the files of the ref")
        into.write_text(json.dumps(stages_as_json(stage_entries(space.flow))), encoding="utf-8")


def check_workflow(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    profiles: Iterable[RunProfile],
    prober: Prober,
    compiler: Compiler,
) -> tuple[str, ...]:
    """Notes on stages that are reused less than they could be; DeclarationError has every fault."""
    probed = {stage.name: prober(stage) for stage in flow.stages}
    read = [fault for recipe in recipes.values() for fault in recipe.faults]
    faults = _faults(flow, probed.values(), read, compiler)
    faults += [fault for profile in profiles for fault in profile_faults(flow, profile)]
    if faults:
        raise DeclarationError(f"workflow {flow.name!r}", faults)
    notes = [*opaque_notes({stage.name: recipes[stage.name] for stage in flow.stages})]
    for stage in flow.stages:
        found = probed[stage.name]
        notes += reuse_notes(stage, recipes[stage.name], found.query if found else None)
    return tuple(notes)


def faults_at(folder: Path, workflow: str | None = None) -> tuple[Fault, ...]:
    """The faults of the workflow of a folder; none when its module can't be imported."""
    try:
        return faults_in(load_workflow(find_settings(folder.resolve(), workflow)))
    except TidemillError:
        return ()


def faults_in(
    workflow: Workflow, prober: Prober = probe, compiler: Compiler = compile_rules
) -> tuple[Fault, ...]:
    """All faults of a workflow, between its stages and inside each of them.

    Faults between stages don't hide those inside a stage, such as a column that its query lacks.
    Needs no data or state, and writes nothing.
    """
    drawn = resolve_declaration(workflow)
    flow = drawn.checkable
    codes = [(stage, code_of(stage.function)) for stage in flow.stages if stage.function]
    found = _faults(
        flow,
        [prober(stage) for stage in flow.stages],
        [fault for stage, code in codes for fault in reader_faults(stage, code)],
        compiler,
    )
    return tuple(dict.fromkeys((*drawn.faults, *found)))


def _faults(
    flow: Flow, probed: Iterable[Probe | None], read: Iterable[Fault], compiler: Compiler
) -> list[Fault]:
    """The faults of single stages: in their queries, their code and their contracts."""
    faults = [f for found in probed if found for f in (*found.faults, *found.raised)]
    faults += read
    faults += [fault for stage in flow.stages for fault in source_faults(stage)]
    # An input has the contract of its stage.
    contracts = {id(stage.output): stage.output for stage in flow.stages if stage.output}
    faults += [fault for spec in contracts.values() for fault in compiler(spec)]
    # Stages that share a contract share its faults.
    return list(dict.fromkeys(faults))
