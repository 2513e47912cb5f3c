"""Notes that `check` prints where everybody who may read could see values of personal data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.governance.personal_columns import stage_marks
from tidemill.governance.personal_slices import has_personal_slices
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.gate import NoSliceWorse
from tidemill.workflow.stage import Flow, Stage, evaluations_of

_NAMED = "which holds personal data; whoever may read sees them:"


def personal_notes(flow: Flow, recipes: Mapping[str, Recipe]) -> Iterator[str]:
    """Name personal columns without a mark, and those that give partitions and slices their names."""
    marks = stage_marks(flow, recipes)
    for stage in flow.stages:
        personal = marks.get(stage.name, {})
        columns = stage.output.columns if stage.output is not None else ()
        unmarked = [each.name for each in columns if each.name in personal and not each.pii]
        if unmarked:
            yield (
                f"{stage.name}: its contract has no pii= for {', '.join(unmarked)}, which an earlier one "
                "has: findings may quote values"
            )
        column = stage.partitioning.column
        if column in personal:
            yield (
                f"{stage.name}: its partitions are named by the values of {column!r}, {_NAMED} "
                "partition by another column"
            )
        for over in _personal_splits(flow, recipes, stage):
            yield (
                f"{stage.name}: the verdicts of its gate no_slice_worse(over={over!r}) name values of "
                f"{over!r}, {_NAMED} split the scores by a coarser column, such as groups"
            )


def _personal_splits(flow: Flow, recipes: Mapping[str, Recipe], model: Stage) -> Iterator[str]:
    """The personal columns over whose slices gates of a model look."""
    gates = model.approval.gates if model.approval is not None else ()
    for over in dict.fromkeys(gate.over for gate in gates if isinstance(gate, NoSliceWorse)):
        judges = evaluations_of(flow, model.name)
        if any(has_personal_slices(flow, recipes, judge.name, over) for judge in judges):
            yield over
