"""The work of a step as a task for an engine, and what comes back: bytes, and names of stored objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from tidemill.ports.execution import Fate, TaskEvent
from tidemill.steps.io.step_runner import Workshop
from tidemill.steps.step_messages import Context, Failed, Made, Work
from tidemill.workflow.retry_policy import Retries

# The function that does errands; no layer below the project may import it.
FUNCTION = "tidemill.project.worker:make"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Work to be done in a context, which is encoded: it is the same for all of a run."""

    context: bytes
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    made: Made | None = None
    failed: Failed | None = None


# Threads of the run's own process need not open the project: what they work with is lent by the run.
lent: dict[bytes, Callable[[], Workshop]] = {}

_encoder = msgspec.msgpack.Encoder()
contexts = msgspec.msgpack.Decoder(Context)
_errands = msgspec.msgpack.Decoder(Errand)
_answers = msgspec.msgpack.Decoder(_Answer)


def context_of(context: Context) -> bytes:
    """A context, encoded."""
    return _encoder.encode(context)


def errand_of(context: bytes, work: Work) -> bytes:
    """The parameters of a task, without what only the record of its inputs is for."""
    inputs = {
        name: {key: replace(held, inputs={}, seen={}, verdict=None) for key, held in bound.items()}
        for name, bound in work.inputs.items()
    }
    return _encoder.encode(Errand(context=context, work=replace(work, inputs=inputs)))


def read_errand(params: bytes) -> Errand:
    """The errand that a task's parameters are."""
    return _errands.decode(params)


def answer_of(gave: Made | Failed) -> bytes:
    """The result of a task; objects are stored by then."""
    answer = _Answer(failed=gave) if isinstance(gave, Failed) else _Answer(made=gave)
    return _encoder.encode(answer)


def read_answer(event: TaskEvent, retries: Retries) -> Made | Failed:
    """What became of the work: what the task answered, or how it ended instead."""
    if event.fate is Fate.OK:
        answer = _answers.decode(event.result)
        gave = answer.made or answer.failed
        assert gave is not None
        return gave
    error = event.error
    kind = {Fate.TIMEOUT: TimeoutError, Fate.OOM: MemoryError}.get(event.fate)
    words = error.message if error is not None else f"it was {event.fate}"
    if event.fate is Fate.ERROR and error is not None:
        words = f"worker {event.worker} couldn't do it: {error.type}: {error.message}"
    return Failed(
        message=words,
        trace=error.trace if error is not None else "",
        transient=kind is not None and retries.covers(kind),
        fate=event.fate,
    )
