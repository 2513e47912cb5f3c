"""What people are told about a promotion of one environment to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.page_values import page_table, section


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedStage:
    """A stage that differs: how its recipe changed, and the numbers of its partitions that do.

    `columns` are those whose values differ, with the number of partitions.
    """

    stage: str
    recipe: tuple[str, ...] = ()
    added: int = 0
    changed: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotedModel:
    """A model that would go live in place of `old`, "" for none, with the figures of both and their diff."""

    model: str
    old: str
    new: str
    trained: str
    old_figures: str = ""
    new_figures: str = ""
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
                    ("stage", "recipe", ">partitions added", ">changed", "columns that differ"),
                    [
                        (
                            each.stage,
                            "; ".join(each.recipe) or "the same",
                            f"{each.added:,}",
                            f"{each.changed:,}",
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
        counts = [
            f"{count:,} {word}"
            for count, word in ((each.added, "added"), (each.changed, "changed"))
            if count
        ]
        parts = [*each.recipe, *([f"partitions: {', '.join(counts)}"] if counts else [])]
        yield f"{each.stage}: {'; '.join(parts)}"
    for model in found.models:
        before = f" in place of {model.old}" if model.old else "; none is live now"
        yield f"{model.model}: {model.new} would go live{before}"


def _worse(found: PromotionChange) -> Iterator[str]:
    if found.sample < 1:
        yield f"{found.source} was computed from a sample of {found.sample:.0%} of the source rows"
