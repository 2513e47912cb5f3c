"""Check that an environment can be promoted to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.core.errors import UsageError
from tidemill.environments.io.environments import load_state, require_unexpired
from tidemill.environments.promotion_check import recipe_mismatches
from tidemill.ports.runtime import Runtime
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.environment import Environment
from tidemill.workflow.stage import Flow


def require_same_code(
    tools: Runtime,
    tune: Callable[[Environment], Flow],
    recipes: Mapping[str, Recipe],
    source: str,
    target: str,
) -> None:
    """Raise UsageError if an environment doesn't exist, or didn't run the current code.

    `tune` returns the workflow with the parameters that it has in an environment.
    """
    if source == target:
        raise UsageError(f"{source} can't be promoted to itself; use tidemill promote FROM TO")
    state = load_state(tools.ledger, source, whole=False)
    known = state.environments.get(source, Environment(name=source))
    require_unexpired(state, source, tools.clock())
    # Neither the parameters of a profile nor a sample are promoted, so recipes are compared without them.
    differing = list(
        recipe_mismatches(tune(known), recipes, state.heads, state.recipes, known.sample)
    )
    if differing:
        listed = "\n  ".join(differing)
        raise UsageError(
            f"the current code isn't what {source} ran:\n  {listed}\n"
            f"check out the code that it ran, or run the current code there first: "
            f"tidemill run --env {source}"
        )
