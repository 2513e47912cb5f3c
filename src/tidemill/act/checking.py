"""Hold a workflow against its contracts without any data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.act.evidence import Prober
from tidemill.decide.notes import notes_on
from tidemill.decide.recipe import Recipe
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import DeclarationError, Fault
from tidemill.domain.stage import Flow

# Compiling a contract needs Polars, as probing does.
Compiler = Callable[[ContractSpec], list[Fault]]


def check(
    flow: Flow, recipes: Mapping[str, Recipe], prober: Prober, compiler: Compiler
) -> tuple[str, ...]:
    """Notes on what is reused less than it could be. DeclarationError has every fault."""
    probed = {stage.name: prober(stage) for stage in flow.stages}
    faults = [f for found in probed.values() if found for f in (*found.faults, *found.raised)]
    faults += [fault for recipe in recipes.values() for fault in recipe.faults]
    # Inputs are read by the contracts of their stages.
    faults += [f for stage in flow.stages if stage.output for f in compiler(stage.output)]
    if faults:
        # A contract says what is wrong with it at every stage that has it.
        raise DeclarationError(f"workflow {flow.name!r}", list(dict.fromkeys(faults)))
    notes: list[str] = []
    for stage in flow.stages:
        found = probed[stage.name]
        notes += notes_on(stage, recipes[stage.name], found.query if found else None)
    return tuple(notes)
