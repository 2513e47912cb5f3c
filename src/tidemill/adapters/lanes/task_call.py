"""Call a task's function and return the result, or the exception as text."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import msgspec

from tidemill.adapters.lanes.worker_protocol import (
    MAX_MESSAGE_BYTES,
    TaskAnswer,
    TaskCall,
    temporary_path,
)
from tidemill.ledger.io.process_usage import peak_memory, reset_peak_memory
from tidemill.ports.execution import Task

# A shorter task can't have touched much memory, and measuring it would take longer than the task.
_MIN_MEASURED_S = 0.005
# Longer messages and tracebacks (characters) are shortened.
_MAX_TEXT = 100_000

_highest = 0


def call_task(
    call: TaskCall,
    functions: dict[str, Callable[..., Any]],
    clock: Callable[[], float] = time.process_time,
) -> TaskAnswer:
    """Call a task's function; the answer holds its result or whatever it raised.

    The output keeps a temporary name until `move_output`. `functions` caches imported functions.
    `clock` returns CPU seconds; with the process clock the answer includes peak memory, which a thread
    doesn't have.
    """
    wall, cpu = time.perf_counter(), clock()
    result, error, starved = b"", None, False
    try:
        result = _call_function(call, functions)
    # Anything a task raises, even SystemExit, becomes its answer, and the worker continues.
    except BaseException as raised:  # noqa: BLE001
        error, starved = _exception_text(raised), isinstance(raised, MemoryError)
    wall, cpu = time.perf_counter() - wall, clock() - cpu
    peak = _peak_since_last_task() if wall > _MIN_MEASURED_S and clock is time.process_time else 0
    return TaskAnswer(call.id, result, error, wall, cpu, peak, starved)


def _call_function(call: TaskCall, functions: dict[str, Callable[..., Any]]) -> bytes:
    function = functions.get(call.function)
    if function is None:
        module, _, name = call.function.partition(":")
        function = functions[call.function] = getattr(import_module(module), name)
    target = temporary_path(call.output, call.id) if call.output else ""
    try:
        result = function(call.params, call.inputs, target)
        if result is not None and not isinstance(result, bytes):
            raise TypeError(f"{call.function} returned {type(result).__name__}, not bytes or None")
        if result is not None and len(result) > MAX_MESSAGE_BYTES:
            raise ValueError(
                f"{call.function} returned {len(result):,} bytes: write data to the output instead"
            )
    except BaseException:
        with suppress(OSError):
            os.unlink(target)
        raise
    return result or b""


def move_output(answer: TaskAnswer, task: Task) -> TaskAnswer:
    """Move a task's output to its final path when its answer arrives; an error becomes the answer.

    A worker doesn't do this itself: if it died right after, the output of a lost task would remain.
    """
    if not task.output or answer.error is not None:
        return answer
    try:
        os.replace(temporary_path(task.output, task.id), task.output)
    except OSError as error:
        return msgspec.structs.replace(answer, result=b"", error=_exception_text(error))
    return answer


def _exception_text(error: BaseException) -> tuple[str, str, str]:
    """An exception's type, message and traceback; only the type if printing it fails."""
    kind = type(error).__qualname__
    try:
        message = str(error)
        trace = "".join(traceback.format_exception(error))
    # A user's `__str__` may raise anything.
    except BaseException as worse:  # noqa: BLE001
        return _encodable_text(kind), f"its message can't be shown: {type(worse).__qualname__}", ""
    return _encodable_text(kind), _encodable_text(message), _encodable_text(trace)


def _encodable_text(text: str) -> str:
    """Make a text encodable: shorten its middle and escape lone surrogates, as in odd file names."""
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]}\n[...]\n{text[-_MAX_TEXT // 2 :]}"
    return text.encode(errors="backslashreplace").decode()


def _peak_since_last_task() -> int:
    """Return the most memory (bytes) that this process held since the last call.

    Where the peak can't be reset, it is 0 unless the peak of the whole process grew.
    """
    global _highest
    before, _highest = _highest, peak_memory()
    return _highest if reset_peak_memory() or _highest > before else 0
