"""Take what an environment does into another: all of it is published there at once, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.core.errors import UsageError
from tidemill.environments.io.environments import refuse_over, standing
from tidemill.environments.promotion_check import unlike
from tidemill.ports.runtime import Tools
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.environment import Environment
from tidemill.workflow.stage import Flow


def refuse_unlike(
    tools: Tools,
    tune: Callable[[Environment], Flow],
    recipes: Mapping[str, Recipe],
    source: str,
    target: str,
) -> None:
    """UsageError when an environment doesn't exist, or ran another code than that which is at hand.

    `tune` gives the workflow with the parameters that it has in an environment.
    """
    if source == target:
        raise UsageError(f"{source} can't be promoted to itself; say tidemill promote FROM TO")
    state = standing(tools.ledger, source, whole=False)
    known = state.environments.get(source, Environment(name=source))
    refuse_over(state, source, tools.clock())
    # The parameters of a profile stay behind, as a sample does: the recipes are taken without them.
    differing = list(unlike(tune(known), recipes, state.heads, state.recipes, known.sample))
    if differing:
        listed = "\n  ".join(differing)
        raise UsageError(
            f"the code at hand isn't what {source} ran:\n  {listed}\n"
            f"check out what it ran, or run this there first: tidemill run --env {source}"
        )
