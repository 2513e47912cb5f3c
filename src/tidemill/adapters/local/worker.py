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
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any

from tidemill.adapters.local.making import made
from tidemill.adapters.local.wire import Answer, Frames, calls, framed

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
                stream.sendall(framed(made(calls.decode(frame), functions)))


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
