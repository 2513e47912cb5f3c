"""Hold a workflow against its contracts without any data."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.act.evidence import Prober
from tidemill.decide.notes import notes_on
from tidemill.decide.recipe import Recipe
from tidemill.domain.errors import DeclarationError
from tidemill.domain.stage import Flow


def check(flow: Flow, recipes: Mapping[str, Recipe], prober: Prober) -> tuple[str, ...]:
    """Notes on what is reused less than it could be. DeclarationError has every fault."""
    probed = {stage.name: prober(stage) for stage in flow.stages}
    faults = [f for found in probed.values() if found for f in (*found.faults, *found.raised)]
    faults += [fault for recipe in recipes.values() for fault in recipe.faults]
    if faults:
        raise DeclarationError(f"workflow {flow.name!r}", faults)
    notes: list[str] = []
    for stage in flow.stages:
        found = probed[stage.name]
        notes += notes_on(stage, recipes[stage.name], found.query if found else None)
    return tuple(notes)
