"""Notes that `check` prints on valid stages: why results are reused less often than they could be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.analysis.query.summary import QuerySummary
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Stage


def opaque_notes(recipes: Mapping[str, Recipe]) -> Iterator[str]:
    """Explain, once for each reason, why stages are judged by their code."""
    by_reason: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        if recipe.opaque and not recipe.unproven:
            by_reason.setdefault(recipe.opaque, []).append(name)
    for reason, names in by_reason.items():
        verb, whose = ("is", "its") if len(names) == 1 else ("are", "their")
        yield f"{', '.join(names)} {verb} opaque: {reason}; {whose} code and all columns count"


def reuse_notes(stage: Stage, recipe: Recipe, query: QuerySummary | None) -> Iterator[str]:
    """Explain why a stage is never reused, or returns rows in no fixed order."""
    for reason in _without_repeats(recipe.unproven):
        yield (
            f"{stage.name} is never reused: {reason}; remove it, mark the stage @tm.impure, "
            "or vouch for it with version="
        )
    if query is None:
        return
    if query.unstable:
        yield (
            f"{stage.name} may return different rows for the same inputs: {query.unstable}; "
            "sort by a key before the order matters"
        )
    elif query.unordered and stage.output is not None and not stage.output.key:
        yield (
            f"{stage.name} has no key and its rows have no fixed order ({query.unordered}): "
            "its readers rerun whenever it runs; give its contract a key"
        )


def _without_repeats(reasons: tuple[str, ...]) -> Iterator[str]:
    """Drop repeated reasons of one kind on one line.

    The static analysis and the watched call may give the same thing two names.
    """
    seen: set[tuple[str, str]] = set()
    for reason in reasons:
        kind_and_line = reason.partition(": ")[0], reason.rpartition(" (")[2]
        if kind_and_line not in seen:
            yield reason
        seen.add(kind_and_line)
