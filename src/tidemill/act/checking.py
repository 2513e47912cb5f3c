"""Hold a workflow against its contracts without any data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tidemill.act.evidence import Prober, source_faults
from tidemill.decide.code import code_of
from tidemill.decide.declare import draw
from tidemill.decide.notes import notes_on
from tidemill.decide.recipe import Recipe, reader_faults
from tidemill.decide.tuning import profile_faults
from tidemill.domain.contract import ContractSpec
from tidemill.domain.environment import RunProfile
from tidemill.domain.errors import DeclarationError, Fault
from tidemill.domain.stage import Flow
from tidemill.domain.workflow import Workflow

if TYPE_CHECKING:
    from tidemill.decide.probe import Probe

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
