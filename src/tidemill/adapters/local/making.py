"""What becomes of a task: its function is imported and called, and all that it does is told as data."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from tidemill.adapters.local.wire import Answer, Call, temporary

# Below this a task is too short to have touched much memory, and to ask for it would take longer.
_WORTH_ASKING_S = 0.005


def made(call: Call, functions: dict[str, Callable[..., Any]]) -> Answer:
    """Call a task's function; whatever it raises is in the answer. `functions` keeps those imported."""
    wall, cpu = time.perf_counter(), time.process_time()
    result, error = b"", None
    try:
        result = _result(call, functions)
    # Whatever a task raises, SystemExit too, is its answer, and the worker goes on.
    except BaseException as raised:  # noqa: BLE001
        error = _told(raised)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _peak() if wall > _WORTH_ASKING_S else 0
    return Answer(id=call.id, result=result, error=error, wall_s=wall, cpu_s=cpu, peak_rss=peak)


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
        if target:
            os.replace(target, call.output)
    except BaseException:
        with suppress(OSError):
            os.unlink(target)
        raise
    return result or b""


def _told(raised: BaseException) -> tuple[str, str, str]:
    """An exception as text; one that can't even be printed is told by its type."""
    kind = type(raised).__qualname__
    try:
        message, trace = str(raised), "".join(traceback.format_exception(raised))
    except Exception as worse:  # noqa: BLE001 - `__str__` of the user's class
        return kind, f"its message can't be shown: {type(worse).__name__}", ""
    return kind, message, trace


def _peak() -> int:
    """The most memory (bytes) that this process held since it was asked last; 0 where that isn't told."""
    try:
        with open("/proc/self/status", "rb") as status:
            line = next(line for line in status if line.startswith(b"VmHWM:"))
        with open("/proc/self/clear_refs", "wb") as refs:
            refs.write(b"5")
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024
