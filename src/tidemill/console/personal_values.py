"""Which columns hold personal data, and whose values aren't for whoever looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.governance.permissions import has_role
from tidemill.governance.personal_columns import personal_marks
from tidemill.governance.personal_slices import has_personal_slices, mask_compared, mask_slices
from tidemill.ledger.model_version import MetricComparison, ModelVersion
from tidemill.project.project import Project
from tidemill.workflow.gate import Scores
from tidemill.workflow.stage import Kind, Stage

# Stands in place of a value.
HIDDEN = "(personal)"


def sees_personal(project: Project) -> bool:
    """Whether who looks has the role that sees personal data, and a token, if any, that goes as far."""
    space = project.workspace
    least = space.settings.console.personal
    return has_role(least, space.actor, space.declared.name, space.grants)


def personal_columns(project: Project, stage: Stage, names: Iterable[str]) -> Mapping[str, str]:
    """Those of some columns of a stage that hold personal data by its contract or an earlier one."""
    space = project.workspace
    if not stage.is_declared:
        return {}
    return personal_marks(space.flow, space.recipes, stage.name, names)


def hidden_columns(project: Project, stage: Stage, names: Iterable[str]) -> frozenset[str]:
    """Those of some columns of a stage whose values who looks may not see.

    Below a role these are the personal ones, and all of which that isn't known: those that the contract
    doesn't have, and all of a stage that is gone from the code.
    """
    if sees_personal(project):
        return frozenset()
    wanted = frozenset(names)
    if not stage.is_declared:
        return wanted
    unknown: frozenset[str] = frozenset()
    # A delivery has the columns of its stage, and those of predictions, which no contract names.
    if stage.kind is not Kind.DELIVER and stage.output is not None:
        unknown = wanted.difference(stage.output.names)
    return unknown.union(personal_columns(project, stage, wanted))


def shown_scores(project: Project, evaluation: str, scores: Scores) -> Scores:
    """The scores of an evaluation; what names slices by a personal column is hidden as in a table."""
    return mask_slices(scores, HIDDEN) if _hides(project, evaluation, scores.by) else scores


def shown_version(project: Project, version: ModelVersion) -> ModelVersion:
    """A version with its scores as `shown_scores` has them."""
    return replace(
        version,
        evaluations=tuple(
            replace(each, scores=shown_scores(project, each.stage, each.scores))
            for each in version.evaluations
        ),
    )


def shown_comparisons(
    project: Project, metrics: Iterable[MetricComparison]
) -> tuple[MetricComparison, ...]:
    """Comparisons of two versions; what names slices by a personal column is hidden as in a table."""
    return mask_compared(metrics, lambda stage, by: _hides(project, stage, by), HIDDEN)


def _hides(project: Project, evaluation: str, by: str) -> bool:
    space = project.workspace
    return not sees_personal(project) and has_personal_slices(
        space.flow, space.recipes, evaluation, by
    )
