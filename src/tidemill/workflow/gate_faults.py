"""Check the gates of approvals against the workflow: their names, metrics, columns and places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.gate_kinds import GATES
from tidemill.workflow.model_gates import Golden, GoldenRow
from tidemill.workflow.model_places import places_of
from tidemill.workflow.own_gate import OwnGate
from tidemill.workflow.recorded_gates import NoPiiTo
from tidemill.workflow.stage import Approval, Stage

_HINT = 'write gates=[tm.beats_live("mae")], or a function that judges a candidate'


def gate_faults(
    approvals: Iterable[Approval], stages: Mapping[str, Stage], endpoints: Sequence[Endpoint]
) -> Iterator[Fault]:
    """Yield what is wrong with the gates of approvals."""
    for approval in approvals:
        model = stages.get(approval.model)
        for message, hint in _faults(approval, model, stages, endpoints):
            text = f"approve({approval.model}): {message}"
            yield Fault(message=text, where=approval.place, hint=hint)


def _faults(
    approval: Approval,
    model: Stage | None,
    stages: Mapping[str, Stage],
    endpoints: Sequence[Endpoint],
) -> Iterator[tuple[str, str]]:
    names: set[str] = set()
    for gate in approval.gates:
        if not isinstance(gate, GATES):
            yield f"{gate!r} is not a gate", _HINT
        elif isinstance(gate, OwnGate):
            if gate.name in names:
                yield f"two gates are called {gate.name!r}", "name one of them: tm.gate(..., name=)"
            names.add(gate.name)
        elif isinstance(gate, NoPiiTo):
            yield from _target_faults(approval.model, gate, stages, endpoints)
        elif isinstance(gate, Golden) and model is not None:
            yield from golden_column_faults(gate.rows, model)


def _target_faults(
    model: str, gate: NoPiiTo, stages: Mapping[str, Stage], endpoints: Sequence[Endpoint]
) -> Iterator[tuple[str, str]]:
    """Yield targets that match nothing, because they would let everything pass."""
    places = [*places_of(model, stages, endpoints)]
    known = [name for place in places for name in place.names]
    for target in gate.targets:
        if not any(NoPiiTo(targets=(target,)).matches(place.names) for place in places):
            hint = did_you_mean(target, known) if known else f"nothing uses {model}"
            yield f"no_pii_to({target!r}) matches no endpoint, table or sink of the model", hint


def golden_column_faults(rows: Sequence[GoldenRow], model: Stage) -> Iterator[tuple[str, str]]:
    """Yield columns of golden rows that no input of the model has."""
    contracts = [item.contract for item in model.frames if item.contract is not None]
    known = dict.fromkeys(name for contract in contracts for name in contract.names)
    reported: set[str] = set()
    for row in rows:
        for column, _ in row.values:
            if column not in known and column not in reported:
                reported.add(column)
                inputs = " or ".join(contract.title for contract in contracts)
                yield (
                    f"golden row {row.name!r} has a column {column!r}, which {inputs} doesn't have",
                    did_you_mean(column, known),
                )
