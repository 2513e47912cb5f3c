"""Encode the work of a step as a task for an engine, and decode its result.

Both are a few bytes: rows are in stored objects, which they name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.execution import Fate, TaskEvent
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.project_context import ProjectContext
from tidemill.steps.step_messages import StepFailure, StepOutput, Work
from tidemill.workflow.gate import GateResult
from tidemill.workflow.retry_policy import Retries

T = TypeVar("T")

# What worker processes call; no layer below the project may import it.
FUNCTION = "tidemill.project.worker:make"
GATE_FUNCTION = "tidemill.project.worker:judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPayload:
    """Work on a step, and the encoded context to do it in, which is the same for all of a run."""

    context: bytes
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePayload:
    """A gate to evaluate, and the encoded context to do it in."""

    context: bytes
    work: GateWork


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskResult:
    output: StepOutput | None = None
    failure: StepFailure | None = None


_encoder = msgspec.msgpack.Encoder()
# Each is built when it is used: that takes milliseconds, and a run without workers needs none.
_decoders: dict[type[Any], msgspec.msgpack.Decoder[Any]] = {}


def encode_context(context: ProjectContext) -> bytes:
    """Encode a context."""
    return _encoder.encode(context)


def decode_context(context: bytes) -> ProjectContext:
    """Decode a context."""
    return _decode(ProjectContext, context)


def encode_payload(context: bytes, work: Work) -> bytes:
    """Encode the parameters of a task, without fields of its inputs that only the ledger needs."""
    inputs = {
        name: {key: replace(held, inputs={}, seen={}, verdict=None) for key, held in bound.items()}
        for name, bound in work.inputs.items()
    }
    return _encoder.encode(TaskPayload(context=context, work=replace(work, inputs=inputs)))


def decode_payload(params: bytes) -> TaskPayload:
    """Decode the parameters of a task."""
    return _decode(TaskPayload, params)


def encode_gate(context: bytes, work: GateWork) -> bytes:
    """Encode the parameters of a task that evaluates a gate."""
    return _encoder.encode(GatePayload(context=context, work=work))


def decode_gate(params: bytes) -> GatePayload:
    """Decode the parameters of a task that evaluates a gate."""
    return _decode(GatePayload, params)


def encode_gate_result(result: GateResult) -> bytes:
    """Encode what a gate found."""
    return _encoder.encode(result)


def decode_gate_result(result: bytes) -> GateResult:
    """Decode what a gate found."""
    return _decode(GateResult, result)


def encode_result(output: StepOutput | StepFailure) -> bytes:
    """Encode the result of a task, whose objects are stored."""
    answer = (
        _TaskResult(failure=output)
        if isinstance(output, StepFailure)
        else _TaskResult(output=output)
    )
    return _encoder.encode(answer)


def decode_result(event: TaskEvent, retries: Retries) -> StepOutput | StepFailure:
    """Decode the result of a task; one that ended without a result is a failure."""
    if event.fate is Fate.OK:
        answer = _decode(_TaskResult, event.result)
        gave = answer.output or answer.failure
        assert gave is not None
        return gave
    error = event.error
    kind = {Fate.TIMEOUT: TimeoutError, Fate.OOM: MemoryError}.get(event.fate)
    words = error.message if error is not None else f"it was {event.fate}"
    if event.fate is Fate.ERROR and error is not None and event.worker:
        words = f"worker {event.worker} couldn't run it: {error.type}: {error.message}"
    return StepFailure(
        message=words,
        trace=error.trace if error is not None else "",
        transient=kind is not None and retries.is_retryable(kind),
        fate=event.fate,
    )


def _decode(kind: type[T], text: bytes) -> T:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    found: T = decoder.decode(text)
    return found
