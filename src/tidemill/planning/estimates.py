"""Estimate the cost of a plan's steps from the cost of earlier steps."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.cost import Cost
from tidemill.ledger.run import Action
from tidemill.planning.draft import Draft, expected_product
from tidemill.planning.plan import Step

# A step has a fixed cost, and the rest grows with its rows. Measured on a column of floats: 3 ms up to
# 10,000 rows, 10 ms at 100,000, 75 ms at a million. The fixed cost of a stage's own code (loading a
# library, calling a service) isn't known: assume a tenth of the mean.
_START_S, _SHARE = 0.003, 0.1
# These compute nothing, so without a history their cost is taken as zero.
_NO_COMPUTE = (Action.BIND, Action.GATE, Action.REMOVE)


def estimate_steps(draft: Draft, first: int) -> None:
    """Add an estimated cost to the steps of a draft from the `first` on, where one is known.

    The contents of what they read have to be known still, and earlier steps to be estimated.
    """
    for place in range(first, len(draft.steps)):
        rank, order, step = draft.steps[place]
        cost = draft.facts.costs.get(step.stage, {}).get(step.action)
        if cost is not None:
            # If earlier steps read hardly any rows, their cost doesn't depend on rows.
            scale = _expected_rows(draft, step, cost) / cost.rows_in if cost.rows_in >= 1 else 1.0
            draft.coming_rows[step.stage][step.partition] = scale * cost.rows_out
            wall, cpu = _scale_cost(cost.wall_s, scale), _scale_cost(cost.cpu_s, scale)
        elif step.action in _NO_COMPUTE:
            wall = cpu = 0.0
        else:
            continue
        draft.steps[place] = rank, order, replace(step, wall_s=wall, cpu_s=cpu)


def _scale_cost(mean_s: float, scale: float) -> float:
    """The seconds of a step that reads `scale` times the rows of the mean one."""
    fixed = min(mean_s, max(_START_S, _SHARE * mean_s))
    return fixed + scale * (mean_s - fixed)


def _expected_rows(draft: Draft, step: Step, cost: Cost) -> float:
    """The rows that a step is expected to read: known ones, and those that earlier steps should output.

    If an earlier step has no estimate, assume that the step reads as much as earlier steps of its stage.
    """
    coming = [
        draft.coming_rows[name].get(key)
        for name, keys in step.reads.items()
        if name in draft.order
        for key in draft.changed[name].intersection(keys)
        if expected_product(draft, name, key, draft.contents[name].get(key)) is None
    ]
    if None in coming:
        return max(step.rows, cost.rows_in)
    return step.rows + sum(rows for rows in coming if rows is not None)
