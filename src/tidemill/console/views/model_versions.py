"""A version of a model: its card, its scores, the verdicts on it, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.console.personal_values import shown_version
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.models import LiveNow, rollback_targets, show_live
from tidemill.console.views.score_cards import ScoreCard, score_cards
from tidemill.console.views.version_lines import (
    GateLine,
    VersionLine,
    gate_lines,
    version_gates,
    version_line,
    waiting_reviews,
)
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.core.signature import signature
from tidemill.governance.permissions import Permission
from tidemill.ledger.model_version import LivePeriod, ModelVersion, TrainingCost, VersionState
from tidemill.project.model_bom import bom_of
from tidemill.project.model_cards import ModelCard
from tidemill.project.project import Project
from tidemill.project.removals import removal_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedInput:
    """What a version was trained on of a stage: partitions as ranges, its contract, the columns read."""

    stage: str
    partitions: str
    count: int
    contract: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """A decision on a version, of gates or of people, with the verdicts that it rests on."""

    verdict: str
    by: str
    at: float
    reason: str
    review: str
    gates: tuple[GateLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionView:
    """A version of a model with all that is recorded about it.

    `obstacle` says why it can't be made live now, "" if it can; `periods` are those in which it was live.
    `card` is its model card in Markdown, `review` the open one about it. Moves are guarded by what is
    `live`; `right` says who may make them. It `has_way_back` if one can go back to a version of before.
    """

    model: str
    version: VersionLine
    output: str
    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    baseline: float
    gates: tuple[GateLine, ...]
    review: str
    decisions: tuple[DecisionLine, ...]
    scores: tuple[ScoreCard, ...]
    trained_on: tuple[TrainedInput, ...]
    parameters: str
    seed: int | None
    parent: str
    generation: int
    recipe: str
    key: str
    object: str
    packages: Mapping[str, str]
    hardware: Mapping[str, str]
    cost: TrainingCost | None
    periods: tuple[LivePeriod, ...]
    obstacle: str
    card: str
    live: LiveNow
    has_way_back: bool
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBomView:
    """The bill of materials of a version, as a document of CycloneDX."""

    model: str
    version: str
    bom: Mapping[str, object]


def show_version(project: Project, model: str, version: str) -> ModelVersionView:
    """Show a version of a model: its card, scores with intervals, gates with what they saw, provenance.

    `version` is a unique prefix of an id, or live or newest.
    """
    project.workspace.require(Permission.READ)
    registered = project.models[model]
    found = shown_version(project, registered.version(version))
    artifact = found.artifact
    review, live = waiting_reviews(project).get(model), show_live(project, model)
    return ModelVersionView(
        model=model,
        version=version_line(found, project.price),
        output=artifact.output,
        inputs=tuple(artifact.inputs),
        classes=tuple(str(label) for label in artifact.class_labels),
        baseline=artifact.baseline,
        gates=version_gates(found, review),
        review=review.id if review is not None and review.artifact == found.id else "",
        decisions=tuple(_decisions(found)),
        scores=score_cards(found.evaluations),
        trained_on=tuple(_trained_on(found)),
        parameters=artifact.params,
        seed=artifact.seed,
        parent=artifact.parent.id if artifact.parent is not None else "",
        generation=artifact.generation,
        recipe=artifact.recipe,
        key=found.key,
        object=artifact.object,
        packages=artifact.packages,
        hardware=artifact.hardware,
        cost=found.cost,
        periods=tuple(each for each in reversed(registered.history) if each.version == found.id),
        obstacle=_obstacle(project, found),
        card=ModelCard(found, project.workspace).markdown,
        live=live,
        has_way_back=bool(
            rollback_targets(
                registered.history, registered.versions, live.version, project.environment
            )
        ),
        right=action_right(project, Permission.DELIVER),
    )


def show_bom(project: Project, model: str, version: str) -> ModelBomView:
    """Show the bill of materials of a version: its data with digests, and the packages of its training."""
    project.workspace.require(Permission.READ)
    found = shown_version(project, project.models[model].version(version))
    return ModelBomView(
        model=model, version=found.id, bom=bom_of(found, project.workspace).document
    )


def _trained_on(found: ModelVersion) -> Iterator[TrainedInput]:
    artifact = found.artifact
    for stage, partitions in artifact.trained_on.items():
        yield TrainedInput(
            stage=stage,
            partitions=summarize_keys(partitions),
            count=len(partitions),
            contract=artifact.contracts.get(stage, ""),
            columns=found.columns.get(stage, ()),
        )


def _decisions(found: ModelVersion) -> Iterator[DecisionLine]:
    for decision in reversed(found.decisions):
        yield DecisionLine(
            verdict=str(decision.verdict),
            by=signature(found.deciders(decision), decision.note),
            at=decision.at,
            reason=decision.reason,
            review=decision.review,
            gates=gate_lines([decision]),
        )


def _obstacle(project: Project, found: ModelVersion) -> str:
    """Why a version can't be made live; who may do so, and whether its inputs fit, is checked when it is."""
    if found.model not in project.flow.names:
        return f"{found.model} is no longer part of the workflow"
    if project.flow[found.model].approval is None:
        return f"{found.model} has no gates, so that its newest version is always used"
    if found.state is VersionState.LIVE:
        return "it is live"
    if found.removed is not None:
        return removal_text(found.removed)
    return {
        VersionState.REFUSED: "gates or people refused it",
        VersionState.CANDIDATE: "it isn't approved yet",
        VersionState.TRAINED: "no gate has judged it",
    }.get(found.state, "")
