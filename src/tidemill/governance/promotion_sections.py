"""What people are told about a promotion of one environment to another."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.model_sections import may_be_worse, shown_figures
from tidemill.governance.page_values import page_table, section
from tidemill.governance.review_page import moment
from tidemill.ledger.delivery import Decision
from tidemill.ledger.model_version import MetricComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedStage:
    """A stage that differs: how its recipe changed, and the numbers of its partitions that do.

    `missing` ones are only in the target. `columns` are those whose values differ, with the number of
    partitions.
    """

    stage: str
    recipe: tuple[str, ...] = ()
    added: int = 0
    changed: int = 0
    missing: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedModel:
    """A model that would go live in place of `old`, "" for none, with the figures of both and their diff.

    `metrics` compares the figures. `refusal` is the decision by which the target refuses this version.
    """

    model: str
    old: str
    new: str
    trained: str
    old_figures: str = ""
    new_figures: str = ""
    metrics: tuple[MetricComparison, ...] = ()
    refusal: Decision | None = None
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionChange:
    """A promotion of `source` to `target`: stages and models that differ, and who may promote.

    `sample` is the share of source rows that the source was computed from.
    """

    source: str
    target: str
    stages: tuple[PromotedStage, ...]
    models: tuple[PromotedModel, ...] = ()
    sample: float = 1.0
    promoted_by: str = ""
    missing: tuple[str, ...] = ()


def promotion_detail(found: PromotionChange) -> ChangeDetail:
    """The sentences and sections about a promotion."""
    return ChangeDetail(
        changes=tuple(_changes(found)),
        worse=tuple(_worse(found)),
        back=(
            f"{found.target} stays as it is if this is rejected",
            "if it is approved and turns out to be wrong, promote an environment with the code of before; "
            "models go back at once with `tidemill rollback MODEL`",
            f"who may promote: {found.promoted_by}",
        ),
        sections=(
            section(
                "Stages that change",
                table=page_table(
                    (
                        "stage",
                        "recipe",
                        ">partitions added",
                        ">changed",
                        ">only in the target",
                        "columns that differ",
                    ),
                    [
                        (
                            each.stage,
                            "; ".join(each.recipe) or "the same",
                            f"{each.added:,}",
                            f"{each.changed:,}",
                            f"{each.missing:,}",
                            ", ".join(each.columns) or "-",
                        )
                        for each in found.stages
                    ],
                ),
            ),
            section(
                "Models",
                table=page_table(
                    (
                        "model",
                        "now live",
                        "would be live",
                        "trained",
                        "figures now",
                        "figures then",
                    ),
                    [
                        (
                            each.model,
                            each.old or "none",
                            each.new,
                            each.trained,
                            each.old_figures or "-",
                            each.new_figures or "-",
                        )
                        for each in found.models
                    ],
                ),
                diff=[line for each in found.models for line in each.diff],
            ),
        ),
        missing=found.missing,
    )


def _changes(found: PromotionChange) -> Iterator[str]:
    yield f"{found.target} would get what {found.source} has"
    for each in found.stages:
        numbers = {
            "added": each.added,
            "changed": each.changed,
            f"only in {found.target}": each.missing,
        }
        counts = [f"{count:,} {word}" for word, count in numbers.items() if count]
        parts = [*each.recipe, *([f"partitions: {', '.join(counts)}"] if counts else [])]
        yield f"{each.stage}: {'; '.join(parts)}"
    for model in found.models:
        yield from _going_live(model, found.target)


def _going_live(model: PromotedModel, target: str) -> Iterator[str]:
    before = f" in place of {model.old}" if model.old else "; none is live now"
    refusal = model.refusal
    if refusal is None:
        yield f"{model.model}: {model.new} would go live{before}"
        return
    why = f"on {moment(refusal.at)}" + (f" ({refusal.reason})" if refusal.reason else "")
    if refusal.verdict != "refused":
        yield (
            f"{model.model}: {model.new} would stay back, because it was {refusal.verdict} in {target} by "
            f"{refusal.actor} {why}"
        )
        return
    gates = ", ".join(result.gate for result in refusal.results if not result.passed)
    yield f"{model.model}: {model.new} would go live{before}, if it passes the gates of {target}"
    yield (
        f"{model.model}: the gates of {target} refused it {why} by {gates}, and judge it again in the "
        "promotion"
    )


def _worse(found: PromotionChange) -> Iterator[str]:
    if found.sample < 1:
        yield f"{found.source} was computed from a sample of {found.sample:.0%} of the source rows"
    for model in found.models:
        yield from _worse_figures(model)


def _worse_figures(model: PromotedModel) -> Iterator[str]:
    overall = [each for each in model.metrics if not each.slice]
    worse = [each for each in overall if may_be_worse(each)]
    for each in worse:
        of = f" of {each.stage}" if each.stage else ""
        yield f"{model.model}: {each.metric}{of}: {shown_figures(each)}"
    if overall and not worse:
        names = ", ".join(dict.fromkeys(each.metric for each in overall))
        yield f"{model.model}: no metric is worse over all rows ({names})"
    if model.old and not overall:
        yield f"{model.model}: no evaluation scored both versions, so that it isn't known what gets worse"
