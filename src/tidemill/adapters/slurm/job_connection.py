"""A worker in a job of Slurm, as its run sees it: calls wait until the job has started and connected."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import Any

from tidemill.adapters.lanes.worker_protocol import frame_message
from tidemill.adapters.slurm.listener import Joined, WorkerListener
from tidemill.adapters.slurm.node_protocol import UNANSWERED, NodeAnswer, NodeCall, answer_decoder

# How often it is looked whether a job that doesn't connect has ended.
_LOOK_S = 2.0
_HANG_UP_S = 2.0


class WorkerError(Exception):
    """What a method of a worker raised, as text."""


class JobConnection:
    """The worker in a job; `refuse_end` raises an error if the job has ended. One thread calls at a time."""

    def __init__(
        self, job: str, listener: WorkerListener, refuse_end: Callable[[str], None]
    ) -> None:
        self.job = job
        self._listener, self._refuse_end = listener, refuse_end
        self._joined: Joined | None = None
        self._closed = threading.Event()
        self._reading = threading.Lock()
        self._numbers = count()
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Call a method and wait for its result; TimeoutError if it takes longer, also to start the job.

        WorkerError if the method raised an error; EOFError if the worker is lost.
        """
        end = time.monotonic() + timeout_s
        joined, number = self._wait_until_joined(end), next(self._numbers)
        self._send(number, method, arguments)
        with self._reading:
            answer = self._read_answer(joined, number, end)
        if answer.error is not None:
            raise WorkerError(f"{answer.error[0]}: {answer.error[1]}")
        return answer.result

    def post(self, method: str, *arguments: Any) -> None:
        """Call a method without waiting."""
        self._send(UNANSWERED, method, arguments)

    def hang_up(self) -> bool:
        """Close the connection, which ends the worker; whether it has ended."""
        self._closed.set()
        self._outgoing.put(None)
        if self._joined is None:
            return False
        stream = self._joined.stream
        with suppress(OSError):
            stream.shutdown(socket.SHUT_WR)
        has_ended = _wait_for_end(stream)
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)
        # Not while it is read.
        with self._reading:
            stream.close()
        return has_ended

    def _send(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        self._outgoing.put(frame_message(NodeCall(number, method, [*arguments])))

    def _wait_until_joined(self, end: float) -> Joined:
        while self._joined is None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if self._closed.is_set():
                raise EOFError
            self._joined = self._listener.wait(self.job, min(left, _LOOK_S))
            if self._joined is None:
                self._refuse_end(self.job)
            elif self._closed.is_set():
                self._joined.stream.close()
                raise EOFError
            else:
                threading.Thread(target=self._send_all, args=(self._joined,), daemon=True).start()
        return self._joined

    def _read_answer(self, joined: Joined, number: int, end: float) -> NodeAnswer:
        """The answer to a call; EOFError if the worker is lost."""
        while (left := end - time.monotonic()) > 0:
            if self._closed.is_set():
                raise EOFError
            if _is_readable(joined.stream, left):
                for answer in map(answer_decoder.decode, joined.frames.receive()):
                    if answer.number == number:
                        return answer
        raise TimeoutError

    def _send_all(self, joined: Joined) -> None:
        """Send what is to be sent; who waits for an answer notices if the worker is lost."""
        with suppress(OSError):
            while (message := self._outgoing.get()) is not None:
                joined.stream.sendall(message)


def _wait_for_end(stream: socket.socket) -> bool:
    """Wait a moment until the other side hangs up as well; whether it did."""
    end = time.monotonic() + _HANG_UP_S
    # ValueError: it was closed meanwhile.
    with suppress(OSError, ValueError):
        while (left := end - time.monotonic()) > 0:
            if _is_readable(stream, left) and not stream.recv(1 << 16):
                return True
    return False


def _is_readable(stream: socket.socket, timeout_s: float) -> bool:
    """Wait so long until something can be read; `select` refuses descriptors from 1,024."""
    looked = select.poll()
    looked.register(stream, select.POLLIN)
    return bool(looked.poll(timeout_s * 1000))
