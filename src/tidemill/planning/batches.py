"""Plan which steps of a stage run in one call, and order the steps of a plan for that.

A call costs a millisecond or two however few rows it has, so small partitions are computed together: by one
query if each then gets the same rows as alone, as `Recipe.min_batch_rows` tells; else by a query each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import DATA, Flow, Kind, Stage

# Queries over up to this many rows use the in-memory engine: the streaming engine that Polars would choose
# starts so much per query that it costs twice the CPU, and returns the rows of joins and groups in a
# different order each time. Even a cross join of this many rows fits in memory. Equal keys imply equal
# numbers of rows, and so the same engine.
IN_MEMORY_ROWS = 4_000
# The most steps of a batch, and the most rows. Larger partitions gain nothing from batching.
MAX_STEPS, _ROWS = 64, 100_000

# What names a step.
_Step = TypeVar("_Step")


def can_batch(stage: Stage, recipe: Recipe) -> bool:
    """Whether partitions of a stage can be computed together.

    Those of a delivery can, as far as the model's format allows. Those of a transform can if its query is
    known: by one query, or by a query each that are collected at once. Each step that uses memos or folds has
    a session for itself, which stores and counts what it computed.
    """
    if stage.kind is Kind.DELIVER:
        return True
    keyed = stage.output is not None and stage.partitioning.column in stage.output.key
    if stage.kind is not Kind.TRANSFORM:
        return keyed and stage.kind is Kind.INGEST
    alone = recipe.memos or any(item.fold is not None for item in stage.frames)
    return keyed and not alone and recipe.stable and not recipe.unproven


def next_batch(rows: Mapping[_Step, int]) -> list[_Step]:
    """The first steps that make up one batch; `rows` maps steps to the rows that they read."""
    found: list[_Step] = []
    total = 0
    for at, count in rows.items():
        total += count
        if count > IN_MEMORY_ROWS or total > _ROWS or len(found) == MAX_STEPS:
            break
        found.append(at)
    return found


def batch_order(flow: Flow, steps: Sequence[Step], batchable: Collection[str]) -> list[Step]:
    """Reorder the steps of a plan so that steps of a stage that can be batched are neighbours.

    Every step still comes after its inputs, and the steps of one stage keep their order.
    """
    runs = Counter(step.stage for step in steps if step.action is Action.RUN)
    several = {name for name in batchable if runs[name] > 1}
    if not several:
        return [*steps]
    tables = {stage.name for stage in flow.stages if stage.kind in DATA}
    found: list[Step] = []
    waiting = _BatchQueue(flow, several)
    for step in steps:
        if step.stage not in tables:
            found += waiting.all()
        elif waiting.holds_up(step) or (step.stage in several and step.action is Action.RUN):
            if waiting.add(step) == MAX_STEPS:
                found += waiting.all()
            continue
        found.append(step)
    return [*found, *waiting.all()]


class _BatchQueue:
    """Steps that wait for more steps of their stage, which is one of `several`, or for a waiting step."""

    def __init__(self, flow: Flow, several: Collection[str]) -> None:
        self._several = several
        self._refers = {stage.name: frozenset(stage.refers.values()) for stage in flow.stages}
        self._steps: dict[str, dict[str, Step]] = {name: {} for name in flow.names}
        self._planned: list[Step] = []

    def holds_up(self, step: Step) -> bool:
        """Whether a step has to wait: for a waiting input, or for a waiting step of its own stage."""
        if not self._planned:
            return False
        return bool(self._steps[step.stage]) or next(self._waiting_inputs(step), None) is not None

    def add(self, step: Step) -> int:
        """Add a step, and return how many steps of its stage wait."""
        self._steps[step.stage][step.partition] = step
        self._planned.append(step)
        return len(self._steps[step.stage])

    def all(self) -> list[Step]:
        """Release all waiting steps, in an order in which they can run."""
        found: list[Step] = []
        for step in self._planned:
            self._release(step, found)
        self._planned.clear()
        return found

    def _release(self, step: Step, found: list[Step]) -> None:
        """Release a waiting step after its inputs, together with others that may be in its batch."""
        own = self._steps[step.stage]
        group: list[Step] = []
        while own and (step.stage in self._several or step.partition in own):
            group.append(own.pop(next(iter(own))))
        for needed in [needed for one in group for needed in self._waiting_inputs(one)]:
            self._release(needed, found)
        found += group

    def _waiting_inputs(self, step: Step) -> Iterator[Step]:
        """The waiting steps of other stages that a step needs."""
        for name in self._refers[step.stage]:
            yield from self._steps[name].values()
        for name, keys in step.reads.items():
            own = self._steps.get(name)
            yield from (own[key] for key in keys if key in own) if own else ()
