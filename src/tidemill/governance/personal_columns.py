"""The columns with personal data among those that a model reads, or that a table has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from tidemill.lineage.dictionary import marked_columns
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Stage
from tidemill.workflow.upstream import upstream_names


def personal_columns(
    flow: Flow, recipes: Mapping[str, Recipe], columns: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """The columns, as `stage.column`, whose contract or an earlier one marks them as personal data.

    A column that a stage passes on under its name stays personal, also if its next contract has no mark. One
    that is computed from others is personal only if its own contract says so.
    """
    wanted = {stage: tuple(names) for stage, names in columns.items()}
    marks = stage_marks(flow, recipes, {name for names in wanted.values() for name in names})
    return tuple(
        f"{stage}.{column}"
        for stage, names in wanted.items()
        for column in names
        if column in marks.get(stage, ())
    )


def personal_marks(
    flow: Flow, recipes: Mapping[str, Recipe], stage: str, columns: Iterable[str]
) -> dict[str, str]:
    """Those of some columns of a stage that are personal as `personal_columns` says, and what they hold."""
    wanted = tuple(columns)
    near = {stage, *upstream_names(flow, flow[stage])}
    part = replace(flow, stages=tuple(each for each in flow.stages if each.name in near))
    marks = stage_marks(part, recipes, wanted).get(stage, {})
    return {name: marks[name] for name in wanted if name in marks}


def stage_marks(
    flow: Flow, recipes: Mapping[str, Recipe], names: Collection[str] | None = None
) -> dict[str, dict[str, str]]:
    """What personal columns hold by stage and column: all, or those with some `names`."""
    found: dict[str, dict[str, str]] = {}
    for each in marked_columns(flow, recipes, names):
        found.setdefault(each.stage, {})[each.column] = each.pii
        for place in each.reached:
            # The data may have another name there.
            if place.columns is None or each.column in place.columns:
                found.setdefault(place.stage, {}).setdefault(each.column, each.pii)
    return found


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
