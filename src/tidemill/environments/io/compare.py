"""Compare two environments: by partitions and column hashes, and on request by rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.core.lazy_dataclass import dataclass
from tidemill.environments.io.environments import load_state
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.ports.ledger import HasBindingFacts
from tidemill.ports.runtime import Runtime
from tidemill.reuse.recipe import recipe_changes
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.environments.row_diff import RowDiff


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDiff:
    """The differences between the partitions of a stage in two environments.

    `added` are only in the first, `removed` only in the second. `changed` are in both, each with the
    columns whose values or rows differ (empty for a model, which has no columns). `recipe` describes the
    differences between the recipes, if both are known. A stage may be published, but not `declared` any more.
    """

    stage: str
    same: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recipe: tuple[str, ...] = ()
    declared: bool = True

    @property
    def columns(self) -> dict[str, int]:
        """The number of partitions in which each column differs."""
        counts: dict[str, int] = {}
        for names in self.changed.values():
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        return counts


def diff_environments(
    tools: Runtime, stages: Iterable[str], one: str, other: str
) -> tuple[StageDiff, ...]:
    """Compare the partitions and recipes of stages in two environments, without reading rows."""
    ours, theirs = load_state(tools.ledger, one), load_state(tools.ledger, other)
    found: list[StageDiff] = []
    for stage in stages:
        left, right = ours.heads.get(stage, Head()), theirs.heads.get(stage, Head())
        recipes = ours.recipes.get(stage, {}), theirs.recipes.get(stage, {})
        recipe = recipe_changes(recipes[1], recipes[0]) if all(recipes) else ()
        # Heads that were moved by the same fact are equal.
        if left.last_event != right.last_event:
            found.append(_diff_stage(stage, left.partitions, right.partitions, recipe))
        elif recipe:
            found.append(StageDiff(stage=stage, same=len(left.partitions), recipe=recipe))
    return tuple(
        item for item in found if item.added or item.removed or item.changed or item.recipe
    )


def diff_partition(tools: Runtime, stage: Stage, one: str, other: str, partition: str) -> RowDiff:
    """Compare the rows of a partition in two environments; UsageError if one doesn't have it."""
    read, key = (
        import_module("tidemill.store.published").read_rows,
        stage.output.key if stage.output else (),
    )
    left, right = (
        read(tools, stage, load_state(tools.ledger, name), partition).collect()
        for name in (one, other)
    )
    found: RowDiff = import_module("tidemill.environments.row_diff").diff_rows(left, right, key)
    return found


def _diff_stage(
    stage: str,
    left: Mapping[str, Binding],
    right: Mapping[str, Binding],
    recipe: tuple[str, ...],
) -> StageDiff:
    keys, same = _candidates(left, right)
    changed: dict[str, tuple[str, ...]] = {}
    added: list[str] = []
    removed: list[str] = []
    for key in keys:
        ours, theirs = left.get(key), right.get(key)
        if ours is None or theirs is None:
            (removed if ours is None else added).append(key)
        elif ours.product.content == theirs.product.content:
            same += 1
        else:
            changed[key] = _differing_columns(ours.product, theirs.product)
    return StageDiff(
        stage=stage,
        same=same,
        added=tuple(added),
        removed=tuple(removed),
        changed=changed,
        recipe=recipe,
    )


def _candidates(left: Mapping[str, Binding], right: Mapping[str, Binding]) -> tuple[list[str], int]:
    """The partitions to compare, and the number of those that the same fact bound, which are equal."""
    if not (isinstance(left, HasBindingFacts) and isinstance(right, HasBindingFacts)):
        return sorted({*left, *right}), 0
    ours, theirs = left.binding_events(), right.binding_events()
    keys = sorted({key for key, _ in ours.items() ^ theirs.items()})
    return keys, len({*ours, *theirs}) - len(keys)


def _differing_columns(left: Product, right: Product) -> tuple[str, ...]:
    """The columns whose hashes differ; if rows were added or removed, those of the key do."""
    return tuple(
        name
        for name in dict.fromkeys([*left.columns, *right.columns])
        if left.columns.get(name) != right.columns.get(name)
    )
