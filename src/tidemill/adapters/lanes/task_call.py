"""What becomes of a task: its function is imported and called, and all that it does is told as data."""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import msgspec

from tidemill.adapters.lanes.wire import MOST, Answer, Call, temporary
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
    peak = _peak() if wall > _WORTH_ASKING_S and clock is time.process_time else 0
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


def _peak() -> int:
    """The most memory (bytes) that this process held since it was asked last; 0 where that isn't told."""
    try:
        with open("/proc/self/status", "rb") as status:
            line = next(line for line in status if line.startswith(b"VmHWM:"))
        with open("/proc/self/clear_refs", "wb") as refs:
            refs.write(b"5")
    except (OSError, StopIteration):
        return _peak_of_all()
    return int(line.split()[1]) * 1024


def _peak_of_all() -> int:
    """The most that this process ever held, if that grew since it was asked last, else 0."""
    global _highest
    before = _highest
    unit = 1 if sys.platform == "darwin" else 1024
    _highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return _highest if _highest > before else 0
