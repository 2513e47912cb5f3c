"""Encode the work of a step as a task for an engine, and decode its result.

Both are a few bytes: rows are in stored objects, which they name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from tidemill.ports.execution import Fate, TaskEvent, TaskFunctions
from tidemill.steps.io.step_runner import Workshop
from tidemill.steps.step_messages import Context, Failed, Made, Work
from tidemill.workflow.retry_policy import Retries

# What worker processes call; no layer below the project may import it.
FUNCTION = "tidemill.project.worker:make"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Work on a step, and the encoded context to do it in, which is the same for all of a run."""

    context: bytes
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    made: Made | None = None
    failed: Failed | None = None


_encoder = msgspec.msgpack.Encoder()
_contexts = msgspec.msgpack.Decoder(Context)
_errands = msgspec.msgpack.Decoder(Errand)
_answers = msgspec.msgpack.Decoder(_Answer)


def context_of(context: Context) -> bytes:
    """Encode a context."""
    return _encoder.encode(context)


def read_context(context: bytes) -> Context:
    """Decode a context."""
    return _contexts.decode(context)


def errand_of(context: bytes, work: Work) -> bytes:
    """Encode the parameters of a task, without fields of its inputs that only the ledger needs."""
    inputs = {
        name: {key: replace(held, inputs={}, seen={}, verdict=None) for key, held in bound.items()}
        for name, bound in work.inputs.items()
    }
    return _encoder.encode(Errand(context=context, work=replace(work, inputs=inputs)))


def read_errand(params: bytes) -> Errand:
    """Decode the parameters of a task."""
    return _errands.decode(params)


def answer_of(gave: Made | Failed) -> bytes:
    """Encode the result of a task, whose objects are stored."""
    answer = _Answer(failed=gave) if isinstance(gave, Failed) else _Answer(made=gave)
    return _encoder.encode(answer)


def read_answer(event: TaskEvent, retries: Retries) -> Made | Failed:
    """Decode the result of a task; one that ended without a result is a failure."""
    if event.fate is Fate.OK:
        answer = _answers.decode(event.result)
        gave = answer.made or answer.failed
        assert gave is not None
        return gave
    error = event.error
    kind = {Fate.TIMEOUT: TimeoutError, Fate.OOM: MemoryError}.get(event.fate)
    words = error.message if error is not None else f"it was {event.fate}"
    if event.fate is Fate.ERROR and error is not None:
        words = f"worker {event.worker} couldn't run it: {error.type}: {error.message}"
    return Failed(
        message=words,
        trace=error.trace if error is not None else "",
        transient=kind is not None and retries.covers(kind),
        fate=event.fate,
    )


def thread_functions(new_shop: Callable[[], Workshop]) -> TaskFunctions:
    """Return the function that tasks in threads of this process call; each thread has its own runner."""
    local = threading.local()

    def make(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
        if not hasattr(local, "shop"):
            local.shop = new_shop()
        shop: Workshop = local.shop
        return answer_of(shop.store(read_errand(params).work))

    return {FUNCTION: make}
