"""What becomes of a task: its function is imported and called, and all that it does is told as data."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import msgspec

from tidemill.adapters.lanes.wire import MOST, Answer, Call, temporary
from tidemill.ledger.io.process_usage import peak_memory, reset_peak_memory
from tidemill.ports.execution import Task

# Below this a task is too short to have touched much memory, and to ask for it would take longer.
_WORTH_ASKING_S = 0.005
# A message or a traceback that is longer (characters) tells nobody more.
_LONGEST = 100_000

_highest = 0


def made(
    call: Call,
    functions: dict[str, Callable[..., Any]],
    clock: Callable[[], float] = time.process_time,
) -> Answer:
    """Call a task's function; whatever it raises is in the answer. `functions` keeps those imported.

    Its output has a temporary name until it is `placed`.

    `clock` tells CPU seconds. With the process's own the answer tells its memory, too; a thread has none.
    """
    wall, cpu = time.perf_counter(), clock()
    result, error, starved = b"", None, False
    try:
        result = _result(call, functions)
    # Whatever a task raises, SystemExit too, is its answer, and the worker goes on.
    except BaseException as raised:  # noqa: BLE001
        error, starved = _told(raised), isinstance(raised, MemoryError)
    wall, cpu = time.perf_counter() - wall, clock() - cpu
    peak = _peak_since_last_task() if wall > _WORTH_ASKING_S and clock is time.process_time else 0
    return Answer(call.id, result, error, wall, cpu, peak, starved)


def _result(call: Call, functions: dict[str, Callable[..., Any]]) -> bytes:
    function = functions.get(call.function)
    if function is None:
        module, _, name = call.function.partition(":")
        function = functions[call.function] = getattr(import_module(module), name)
    target = temporary(call.output, call.id) if call.output else ""
    try:
        result = function(call.params, call.inputs, target)
        if result is not None and not isinstance(result, bytes):
            raise TypeError(f"{call.function} gave {type(result).__name__}, not bytes or None")
        if result is not None and len(result) > MOST:
            raise ValueError(f"{call.function} gave {len(result):,} bytes: data goes to its output")
    except BaseException:
        with suppress(OSError):
            os.unlink(target)
        raise
    return result or b""


def placed(answer: Answer, task: Task) -> Answer:
    """The answer of a task, once its output is where it belongs: at the very moment that it is known.

    A worker that died in between would leave the output of a task that is taken for lost.
    """
    if not task.output or answer.error is not None:
        return answer
    try:
        os.replace(temporary(task.output, task.id), task.output)
    except OSError as error:
        return msgspec.structs.replace(answer, result=b"", error=_told(error))
    return answer


def _told(raised: BaseException) -> tuple[str, str, str]:
    """An exception as text; one that can't even be printed is told by its type."""
    kind = type(raised).__qualname__
    try:
        message = str(raised)
        trace = "".join(traceback.format_exception(raised))
    # `__str__` is the user's own.
    except BaseException as worse:  # noqa: BLE001
        return _plain(kind), f"its message can't be shown: {type(worse).__qualname__}", ""
    return _plain(kind), _plain(message), _plain(trace)


def _plain(text: str) -> str:
    """A text that can travel: of a huge one both ends, and no half characters (as in odd file names)."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n[...]\n{text[-_LONGEST // 2 :]}"
    return text.encode(errors="backslashreplace").decode()


def _peak_since_last_task() -> int:
    """Return the most memory (bytes) that this process held since the last call.

    Where the peak can't be reset, it is 0 unless the peak of the whole process grew.
    """
    global _highest
    before, _highest = _highest, peak_memory()
    return _highest if reset_peak_memory() or _highest > before else 0
