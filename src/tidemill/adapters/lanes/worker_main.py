"""The main module of a worker process: read calls from a socket, run them one by one, answer each.

It is started as `python -P -m tidemill.adapters.lanes.worker_main`, so that the main module of the program
that uses the lane isn't imported again, and no module of the folder in which that program was started.
Nothing heavy is imported before a task needs it.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from socket import socket
from typing import Any

from tidemill.adapters.lanes.task_call import call_task
from tidemill.adapters.lanes.worker_protocol import (
    FrameReader,
    TaskAnswer,
    call_decoder,
    frame_message,
)
from tidemill.ledger.io.home_files import open_private
from tidemill.ledger.io.parent_process import exit_with_parent

_SESSION_TRIES, _SESSION_PAUSE_S = 20, 0.11


def main(descriptor: int, parent_pipe: int, niceness: int, output: str) -> None:
    """Serve the socket until the other side closes it."""
    if niceness:
        _give_way(niceness)
    if output:
        with suppress(OSError):
            _redirect_output(os.path.join(output, f"{os.getpid()}.out"))
    # Ctrl-C reaches all processes of a terminal, but the lane decides when a worker ends. A worker that
    # reads from the terminal gets an error instead of being stopped forever.
    for number in (signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    # Child processes must not keep the connection open after the worker is gone.
    for held in (descriptor, parent_pipe):
        os.set_inheritable(held, False)
    exit_with_parent(parent_pipe)
    _serve(socket(fileno=descriptor))


def _give_way(niceness: int) -> None:
    """Give way to other processes, also to those of other sessions: a server runs in another one.

    Linux divides CPU time between sessions before it does within them, unless control groups do (see
    sched(7), autogroup). Without special rights a niceness of a session is set ten times a second in the
    whole system.
    """
    os.nice(niceness)
    if os.getsid(0) != os.getpid():
        return
    for _ in range(_SESSION_TRIES):
        try:
            with open("/proc/self/autogroup", "w") as group:
                group.write(str(niceness))
        except BlockingIOError:
            time.sleep(_SESSION_PAUSE_S)
        except OSError:
            return
        else:
            return


def _serve(stream: socket) -> None:
    process = os.getpid()
    frames = FrameReader(stream)
    functions: dict[str, Callable[..., Any]] = {}
    with suppress(EOFError, ConnectionError):
        stream.sendall(frame_message(TaskAnswer(id="")))
        while True:
            for frame in frames.receive():
                answer = call_task(call_decoder.decode(frame), functions)
                # A function that forks returns in two processes; only one is the worker.
                if os.getpid() != process:
                    os._exit(0)
                stream.sendall(frame_message(answer))


def _redirect_output(path: str) -> None:
    """Redirect the output of this process and its children to a file, unbuffered."""
    file = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    faulthandler.enable(all_threads=False)


if __name__ == "__main__":
    # Libraries of trainings make hundreds of thousands of objects that stay alive. Looking for garbage among
    # them every 700 objects is a good part of the time that imports take.
    gc.set_threshold(10_000)
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
