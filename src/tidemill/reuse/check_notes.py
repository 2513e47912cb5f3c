"""What `check` says about a stage that holds its contract: where it is reused less than it could be."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.analysis.query.summary import Query
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Stage


def notes_on(stage: Stage, recipe: Recipe, query: Query | None) -> Iterator[str]:
    """Why a stage is judged by its code, never reused, or gives rows in an order of its own."""
    if recipe.opaque and not recipe.unproven:
        yield f"{stage.name} is opaque: {recipe.opaque}; its code and all columns count"
    for reason in _by_line(recipe.unproven):
        yield (
            f"{stage.name} is never reused: {reason}; take it out, mark the stage @tm.impure, "
            "or vouch for it with version="
        )
    if query is None:
        return
    if query.unstable:
        yield (
            f"{stage.name} may give other rows of the same inputs: {query.unstable}; "
            "sort by a key before the order counts"
        )
    elif query.unordered and stage.output is not None and not stage.output.key:
        yield (
            f"{stage.name} has no key, and its rows no order of their own ({query.unordered}): "
            "what reads it runs whenever it ran; give its contract a key"
        )


def _by_line(reasons: tuple[str, ...]) -> Iterator[str]:
    """Reasons of one kind about one line once: code and watch may call the same thing by two names."""
    seen: set[tuple[str, str]] = set()
    for reason in reasons:
        told = reason.partition(": ")[0], reason.rpartition(" (")[2]
        if told not in seen:
            yield reason
        seen.add(told)
