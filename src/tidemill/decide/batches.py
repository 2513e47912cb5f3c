"""Which steps of a stage are made by one call for all of them, and the order in which some are there at once.

A call costs a millisecond or two however few rows there are, so many small partitions are made together
where that gives each of them what it gets alone: `Recipe.least` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tidemill.decide.recipe import Recipe
from tidemill.domain.plan import Action, Step
from tidemill.domain.stage import DATA, Flow, Kind, Stage

# Up to so many rows a query is computed in memory: Polars' own choice, streaming, starts so much for each
# query that it costs twice the CPU, and gives the rows of joins and groups in another order each time. So
# few that all pairs of them fit in memory too. Equal keys mean equal numbers of rows: the same engine.
IN_MEMORY_ROWS = 4_000
# So many steps, and rows of theirs, at once. Larger partitions cost what their rows cost.
STEPS, _ROWS = 64, 100_000


def can_batch(stage: Stage, recipe: Recipe) -> bool:
    """Whether partitions of a stage can be made together."""
    keyed = stage.output is not None and stage.partitioning.column in stage.output.key
    if stage.kind is Kind.INGEST:
        return keyed
    return keyed and recipe.least is not None and recipe.stable and not recipe.unproven


def taken(rows: Mapping[int, int]) -> list[int]:
    """Which steps, of the first on, are made together: by their number, with the rows that each reads."""
    found: list[int] = []
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
    several = {name for name in batched if _several(name, steps)}
    if not several:
        return [*steps]
    found: list[Step] = []
    waiting = _Waiting(flow)
    for step in steps:
        stage = flow[step.stage]
        if stage.kind not in DATA:
            found += waiting.all()
        elif waiting.holds_up(step) or (step.stage in several and step.action is Action.RUN):
            if waiting.add(step) == STEPS:
                found += waiting.all()
            continue
        found.append(step)
    return [*found, *waiting.all()]


class _Waiting:
    """Steps that wait for more of their stage, or for one that does."""

    def __init__(self, flow: Flow) -> None:
        self._steps: dict[str, list[Step]] = {name: [] for name in flow.names}
        self._made: set[tuple[str, str]] = set()
        self._refers = {stage.name: frozenset(stage.refers.values()) for stage in flow.stages}

    def holds_up(self, step: Step) -> bool:
        if not self._made:
            return False
        if self._steps[step.stage] or any(self._steps[name] for name in self._refers[step.stage]):
            return True
        read = ((name, key) for name, keys in step.reads.items() for key in keys)
        return any(made in self._made for made in read)

    def add(self, step: Step) -> int:
        """How many steps of its stage wait now."""
        self._made.add((step.stage, step.partition))
        self._steps[step.stage].append(step)
        return len(self._steps[step.stage])

    def all(self) -> Iterator[Step]:
        """Those that wait, stage after stage as they need each other; then none waits."""
        self._made.clear()
        for steps in self._steps.values():
            yield from steps
            steps.clear()


def _several(name: str, steps: Sequence[Step]) -> bool:
    found = (step for step in steps if step.stage == name and step.action is Action.RUN)
    return next(found, None) is not None and next(found, None) is not None
