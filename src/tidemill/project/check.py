"""Hold a workflow against its contracts without any data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DeclarationError, Fault
from tidemill.project.composition import compile_rules, probe
from tidemill.reuse.check_notes import notes_on
from tidemill.reuse.io.evidence import Prober, source_faults
from tidemill.reuse.recipe import Recipe, reader_faults
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_params import profile_faults
from tidemill.workflow.seal import draw
from tidemill.workflow.stage import Flow
from tidemill.workflow.workflow import Workflow

if TYPE_CHECKING:
    from tidemill.reuse.probe import Probe

# Compiling a contract needs Polars, as probing does.
Compiler = Callable[[ContractSpec], list[Fault]]


def check(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    profiles: Iterable[RunProfile],
    prober: Prober,
    compiler: Compiler,
) -> tuple[str, ...]:
    """Notes on what is reused less than it could be. DeclarationError has every fault."""
    probed = {stage.name: prober(stage) for stage in flow.stages}
    read = [fault for recipe in recipes.values() for fault in recipe.faults]
    faults = _faults(flow, probed.values(), read, compiler)
    faults += [fault for profile in profiles for fault in profile_faults(flow, profile)]
    if faults:
        raise DeclarationError(f"workflow {flow.name!r}", faults)
    notes: list[str] = []
    for stage in flow.stages:
        found = probed[stage.name]
        notes += notes_on(stage, recipes[stage.name], found.query if found else None)
    return tuple(notes)


def faults_in(workflow: Workflow) -> tuple[Fault, ...]:
    """Everything that is wrong with a workflow, found without data or state; nothing is written.

    Faults between stages don't hide those in a stage, such as a column that its query doesn't give.
    """
    return every_fault(workflow, probe, compile_rules)


def every_fault(workflow: Workflow, prober: Prober, compiler: Compiler) -> tuple[Fault, ...]:
    """What is wrong between the stages, and in each stage that can be judged by itself.

    Nothing is read or kept: neither data nor what was probed before.
    """
    drawn = draw(workflow)
    flow = drawn.clear
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
    """What is wrong with each stage by itself: its query, its code, its contract."""
    faults = [f for found in probed if found for f in (*found.faults, *found.raised)]
    faults += read
    faults += [fault for stage in flow.stages for fault in source_faults(stage)]
    # Inputs are read by the contracts of their stages.
    contracts = {id(stage.output): stage.output for stage in flow.stages if stage.output}
    faults += [fault for spec in contracts.values() for fault in compiler(spec)]
    # A contract says what is wrong with it at every stage that has it.
    return list(dict.fromkeys(faults))
