"""All kinds of gates that an approval can have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, get_args

from tidemill.workflow.gate import ScoreGate
from tidemill.workflow.model_gates import ModelGate
from tidemill.workflow.own_gate import OwnGate, own_gate
from tidemill.workflow.recorded_gates import Calibrated, RecordedGate

Gate: TypeAlias = ScoreGate | RecordedGate | ModelGate | OwnGate
SCORE_GATES: tuple[type, ...] = get_args(ScoreGate)
# Those that need the model itself, or run code of the user.
PROCESS_GATES: tuple[type, ...] = (*get_args(ModelGate), OwnGate)
GATES: tuple[type, ...] = (*SCORE_GATES, *get_args(RecordedGate), *PROCESS_GATES)


def gates_of(given: Iterable[object], where: str) -> tuple[Gate, ...]:
    """The gates of an approval at the place `where`, in which a function is a gate.

    Other values stay as they are. TypeError for what isn't a list.
    """
    if not isinstance(given, Iterable):
        raise TypeError(
            f'gates={given!r} is not a list of gates: write gates=[tm.beats_live("mae")]'
        )
    found = (
        own_gate(each, where) if callable(each) and not isinstance(each, (*GATES, type)) else each
        for each in given
    )
    return tuple(found)  # type: ignore[arg-type]  # gate_faults refuses other values


def metric_of(gate: Gate) -> str:
    """The metric that a gate looks at, as it is written; "" if it looks at none."""
    if isinstance(gate, Calibrated):
        return gate.metric
    return gate.metric if isinstance(gate, ScoreGate) else ""
