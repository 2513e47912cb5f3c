"""A worker process: reads calls from a socket, makes them one by one, and answers each.

It knows nothing of who asks. It is started as `python -m tidemill.adapters.local.worker FD`, so that the
main module of the program that uses the lane isn't imported again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from socket import socket
from typing import Any

from tidemill.adapters.local.wire import Answer, Call, Frames, calls, framed, temporary

# Below this a task is too short to have touched much memory, and to ask for it would take longer.
_WORTH_ASKING_S = 0.005
_PARENT_S = 0.5


def main(descriptor: int) -> None:
    """Serve the socket until the other side closes it."""
    # Ctrl-C reaches all processes of a terminal; what becomes of a worker, its lane decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_with_parent()
    stream = socket(fileno=descriptor)
    frames = Frames(stream)
    functions: dict[str, Callable[..., Any]] = {}
    stream.sendall(framed(Answer(id="")))
    with suppress(EOFError, BrokenPipeError):
        while True:
            for frame in frames.receive():
                stream.sendall(framed(_made(calls.decode(frame), functions)))


def _made(call: Call, functions: dict[str, Callable[..., Any]]) -> Answer:
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


def _leave_with_parent() -> None:
    """End when the parent is gone, also while a task is at work: nobody wants its answer any more."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="tidemill-parent", daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
