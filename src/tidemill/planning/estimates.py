"""What the steps of a plan should cost, by what such steps cost before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tidemill.ledger.cost import Cost
from tidemill.ledger.run import Action
from tidemill.planning.draft import Draft, held
from tidemill.planning.plan import Step

# A step costs something whatever it reads, and the rest grows with its rows. Measured on a column of
# floats: 3 ms up to 10,000 rows, 10 ms at 100,000, 75 ms at a million. What a stage adds of its own (a
# library to load, a service to ask) isn't told apart from its rows: a tenth of the mean stands for it.
_START_S, _SHARE = 0.003, 0.1
# These compute nothing: where they have no history there is nothing worth saying.
_LITTLE = (Action.BIND, Action.GATE, Action.REMOVE)


def estimated(draft: Draft, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, in the order in which they run, each with what it should cost as far as that is known."""
    # The rows that partitions should have that are neither published nor known otherwise.
    given: dict[tuple[str, str], float] = {}
    for step in steps:
        cost = draft.now.costs.get(step.stage, {}).get(step.action)
        if cost is not None:
            # Where such steps read hardly a row, rows don't tell what one costs.
            scale = _rows(draft, step, cost, given) / cost.rows_in if cost.rows_in >= 1 else 1.0
            given[step.stage, step.partition] = scale * cost.rows_out
            wall, cpu = _scaled(cost.wall_s, scale), _scaled(cost.cpu_s, scale)
            yield replace(step, wall_s=wall, cpu_s=cpu)
        else:
            yield replace(step, wall_s=0.0, cpu_s=0.0) if step.action in _LITTLE else step


def _scaled(mean_s: float, scale: float) -> float:
    """The seconds of a step that reads `scale` times the rows of the mean one."""
    fixed = min(mean_s, max(_START_S, _SHARE * mean_s))
    return fixed + scale * (mean_s - fixed)


def _rows(draft: Draft, step: Step, cost: Cost, given: dict[tuple[str, str], float]) -> float:
    """The rows that a step should read: those that are known, and those that steps before it should give.

    If one of these doesn't say, the step is taken to read as much as such steps did.
    """
    coming = [
        given.get((name, key))
        for name, keys in step.reads.items()
        for key in draft.changed.get(name, set()).intersection(keys)
        if held(draft, name, key, draft.contents[name].get(key)) is None
    ]
    if None in coming:
        return max(step.rows, cost.rows_in)
    return step.rows + sum(rows for rows in coming if rows is not None)
