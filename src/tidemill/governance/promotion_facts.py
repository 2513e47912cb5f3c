"""The facts about a promotion of one environment to another."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.ledger.binding import Product
from tidemill.ledger.policy import FactValue
from tidemill.workflow.stage import Flow, Kind

# The published partitions of stages, by stage and partition.
Published = Mapping[str, Mapping[str, Product]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionEvidence:
    """What the promoted environment `source` published, and what the target has; recipes are by stage.

    `live` are the ids of the models that are live in the source and in the target. `sample` is the share of
    rows that the source was computed from. `broken` are the stages that changed contracts break.
    """

    source: str
    published: Published
    target: Published
    recipes: Mapping[str, Mapping[str, str]]
    target_recipes: Mapping[str, Mapping[str, str]]
    live: Mapping[str, str]
    target_live: Mapping[str, str]
    sample: float = 1.0
    broken: tuple[str, ...] | None = None


def promotion_facts(
    context: ChangeContext, flow: Flow, found: PromotionEvidence
) -> dict[str, FactValue]:
    """The facts about a promotion to the environment of the context; None for what can't be known."""
    tables = [stage.name for stage in flow.stages if stage.kind not in (Kind.MODEL, Kind.EVALUATE)]
    differing = {name: _changed_partitions(found, name) for name in tables}
    return {
        **common_facts(context, context.environment),
        "sampled": found.sample < 1,
        "source": found.source,
        "stages": tuple(
            stage.name
            for stage in flow.stages
            if _has_other_recipe(found, stage.name) or differing.get(stage.name)
        ),
        "partitions": sum(map(len, differing.values())),
        "rows_changed": _rows_changed(found, differing),
        "new_models": tuple(
            stage.name
            for stage in flow.stages
            if stage.kind is Kind.MODEL
            and found.live.get(stage.name)
            and found.live[stage.name] != found.target_live.get(stage.name)
        ),
        "broken_consumers": found.broken,
    }


def _changed_partitions(found: PromotionEvidence, stage: str) -> list[str]:
    """The partitions of the source that the target lacks, or has with other content."""
    theirs = found.target.get(stage, {})
    return [
        key
        for key, product in found.published.get(stage, {}).items()
        if key not in theirs or theirs[key].content != product.content
    ]


def _has_other_recipe(found: PromotionEvidence, stage: str) -> bool:
    return found.recipes.get(stage) != found.target_recipes.get(stage)


def _rows_changed(found: PromotionEvidence, differing: Mapping[str, list[str]]) -> float | None:
    """The share of the target's rows in partitions that the source has with other content."""
    if found.sample < 1:
        # Every partition of a sample differs, which tells nothing of all rows.
        return None
    rows = [product.rows for name in differing for product in found.target.get(name, {}).values()]
    moved = [
        found.target[name][key].rows
        for name, keys in differing.items()
        for key in keys
        if key in found.target.get(name, {})
    ]
    return sum(moved) / sum(rows) if sum(rows) else 0.0
