"""The columns with personal data among those that a model reads, or that a table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.lineage.dictionary import PersonalColumn, marked_columns
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Stage


def personal_columns(
    flow: Flow, recipes: Mapping[str, Recipe], columns: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """The columns, as `stage.column`, whose contract or an earlier one marks them as personal data.

    A column that a stage passes on under its name stays personal, also if its next contract has no mark. One
    that is computed from others is personal only if its own contract says so.
    """
    return tuple(
        f"{stage}.{column}"
        for stage, names in columns.items()
        for column in personal_marks(flow, recipes, stage, names)
    )


def personal_marks(
    flow: Flow, recipes: Mapping[str, Recipe], stage: str, columns: Iterable[str]
) -> dict[str, str]:
    """Those of some columns of a stage that are personal as `personal_columns` says, and what they hold."""
    wanted = tuple(columns)
    found: dict[str, str] = {}
    for each in marked_columns(flow, recipes, wanted):
        if _holds(each, stage):
            found.setdefault(each.column, each.pii)
    return {name: found[name] for name in wanted if name in found}


def delivered_columns(stage: Stage, flow: Flow) -> dict[str, tuple[str, ...]]:
    """The columns of a delivery, as those of the stage that they come from and of its own contract."""
    source = flow[stage.inputs[0].name]
    assert source.output is not None
    given = source.output
    if not stage.model:
        return {source.name: given.names}
    if stage.output is None:
        return {source.name: given.key or given.names}
    names = stage.output.names
    return {source.name: tuple(n for n in names if n in given.names), stage.name: names}


def _holds(marked: PersonalColumn, stage: str) -> bool:
    """Whether a stage has a marked column, or its data under the same name."""
    return stage == marked.stage or any(
        place.stage == stage and (place.columns is None or marked.column in place.columns)
        for place in marked.reached
    )
