"""How long a step may take, from how long earlier ones took."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step

# The quantile of past durations that a plan leaves time for.
QUANTILE = 0.99
# Fewer attempts say too little of how durations vary: a step may take this much longer than they did.
_FEW, _FEW_SPREAD = 5, 2.0
# No step is taken to last longer than this many times its mean.
_MOST_SPREAD = 10.0
# What a step without history is expected to take.
_UNKNOWN_S, _UNKNOWN_TRAINING_S = 600.0, 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """How long an attempt took, and how many rows it read."""

    wall_s: float
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDuration:
    """The expected seconds of a step, and by how many more it may take."""

    seconds: float
    reserve: float


def step_duration(step: Step, past: Sequence[PastAttempt]) -> StepDuration:
    """The duration of a planned step, given earlier attempts at steps of its stage with its action."""
    if step.wall_s is None:
        learns = step.action in (Action.TRAIN, Action.TRIAL)
        seconds = _UNKNOWN_TRAINING_S if learns else _UNKNOWN_S
        return StepDuration(seconds=seconds, reserve=seconds)
    return StepDuration(seconds=step.wall_s, reserve=step.wall_s * (_spread(past) - 1))


def _spread(past: Sequence[PastAttempt]) -> float:
    """How many times the mean the high quantile of durations is, each in relation to its rows."""
    if len(past) < _FEW:
        return _FEW_SPREAD
    rows = sum(one.rows for one in past) / len(past)
    paces = sorted(
        one.wall_s * rows / one.rows if one.rows and rows else one.wall_s for one in past
    )
    mean = sum(paces) / len(paces)
    high = paces[min(len(paces) - 1, ceil(QUANTILE * len(paces)) - 1)]
    return min(max(high / mean, 1.0), _MOST_SPREAD) if mean > 0 else 1.0
