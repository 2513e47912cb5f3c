"""The columns with personal data among those that a model reads, or that a table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.lineage.dictionary import PersonalColumn, build_dictionary
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Stage


def personal_columns(
    flow: Flow, recipes: Mapping[str, Recipe], columns: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """The columns, as `stage.column`, whose contract or an earlier one marks them as personal data.

    A column that a stage passes on under its name stays personal, also if its next contract has no mark. One
    that is computed from others is personal only if its own contract says so.
    """
    marked = build_dictionary(flow, recipes).personal
    return tuple(
        f"{stage}.{column}"
        for stage, names in columns.items()
        for column in names
        if any(_holds(each, stage, column) for each in marked)
    )


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


def _holds(marked: PersonalColumn, stage: str, column: str) -> bool:
    """Whether a column of a stage is a marked one, or has its data under the same name."""
    if column != marked.column:
        return False
    return stage == marked.stage or any(
        place.stage == stage and (place.columns is None or column in place.columns)
        for place in marked.reached
    )
