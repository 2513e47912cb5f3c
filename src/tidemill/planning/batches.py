"""Which steps of a stage are made by one call for all of them, and the order in which some are there at once.

A call costs a millisecond or two however few rows there are, so many small partitions are made together
where that gives each of them what it gets alone: `Recipe.least` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import DATA, Flow, Kind, Stage

# Up to so many rows a query is computed in memory: Polars' own choice, streaming, starts so much for each
# query that it costs twice the CPU, and gives the rows of joins and groups in another order each time. So
# few that all pairs of them fit in memory too. Equal keys mean equal numbers of rows: the same engine.
IN_MEMORY_ROWS = 4_000
# So many steps, and rows of theirs, at once. Larger partitions cost what their rows cost.
STEPS, _ROWS = 64, 100_000

# What names a step.
_Step = TypeVar("_Step")


def can_batch(stage: Stage, recipe: Recipe) -> bool:
    """Whether partitions of a stage can be made together."""
    keyed = stage.output is not None and stage.partitioning.column in stage.output.key
    if stage.kind is Kind.INGEST:
        return keyed
    return keyed and recipe.least is not None and recipe.stable and not recipe.unproven


def taken(rows: Mapping[_Step, int]) -> list[_Step]:
    """Which steps, of the first on, are made together: by their number, with the rows that each reads."""
    found: list[_Step] = []
    total = 0
    for at, count in rows.items():
        total += count
        if count > IN_MEMORY_ROWS or total > _ROWS or len(found) == STEPS:
            break
        found.append(at)
    return found


def gathered(flow: Flow, steps: Sequence[Step], batched: Collection[str]) -> list[Step]:
    """The steps of a plan in an order in which those of a stage that can be made together are neighbours.

    What a step needs comes before it still, and the steps of one stage stay in their order.
    """
    runs = Counter(step.stage for step in steps if step.action is Action.RUN)
    several = {name for name in batched if runs[name] > 1}
    if not several:
        return [*steps]
    tables = {stage.name for stage in flow.stages if stage.kind in DATA}
    found: list[Step] = []
    waiting = _Waiting(flow, several)
    for step in steps:
        if step.stage not in tables:
            found += waiting.all()
        elif waiting.holds_up(step) or (step.stage in several and step.action is Action.RUN):
            if waiting.add(step) == STEPS:
                found += waiting.all()
            continue
        found.append(step)
    return [*found, *waiting.all()]


class _Waiting:
    """Steps that wait for more of their stage, which is one of `several`, or for one that does."""

    def __init__(self, flow: Flow, several: Collection[str]) -> None:
        self._several = several
        self._refers = {stage.name: frozenset(stage.refers.values()) for stage in flow.stages}
        self._steps: dict[str, dict[str, Step]] = {name: {} for name in flow.names}
        self._planned: list[Step] = []

    def holds_up(self, step: Step) -> bool:
        """Whether a step has to wait for one that waits: one that it needs, or that its stage begins with."""
        if not self._planned:
            return False
        return bool(self._steps[step.stage]) or next(self._needed(step), None) is not None

    def add(self, step: Step) -> int:
        """How many steps of its stage wait now."""
        self._steps[step.stage][step.partition] = step
        self._planned.append(step)
        return len(self._steps[step.stage])

    def all(self) -> list[Step]:
        """Those that wait, in an order in which they can be taken; then none waits."""
        found: list[Step] = []
        for step in self._planned:
            self._take(step, found)
        self._planned.clear()
        return found

    def _take(self, step: Step, found: list[Step]) -> None:
        """Take a step that still waits after those before it in its stage, or with its whole stage."""
        own = self._steps[step.stage]
        group: list[Step] = []
        while own and (step.stage in self._several or step.partition in own):
            group.append(own.pop(next(iter(own))))
        for needed in [needed for one in group for needed in self._needed(one)]:
            self._take(needed, found)
        found += group

    def _needed(self, step: Step) -> Iterator[Step]:
        """The steps of other stages that wait and that one needs."""
        for name in self._refers[step.stage]:
            yield from self._steps[name].values()
        for name, keys in step.reads.items():
            own = self._steps.get(name)
            yield from (own[key] for key in keys if key in own) if own else ()
