"""What the lane and its workers say to each other: MessagePack in frames with their length before them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from socket import socket
from typing import Any

import msgspec

from tidemill.domain.task import Fate, TaskError, TaskEvent

_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 16


class Call(msgspec.Struct, array_like=True, gc=False):
    """A task on its way to a worker."""

    id: str
    function: str
    params: bytes
    inputs: tuple[str, ...]
    output: str


class Answer(msgspec.Struct, array_like=True, gc=False):
    """What came of it; `error` is (type, message, traceback). A worker that is ready answers to "" first."""

    id: str
    result: bytes = b""
    error: tuple[str, str, str] | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0


encode = msgspec.msgpack.Encoder().encode
calls = msgspec.msgpack.Decoder(Call)
answers = msgspec.msgpack.Decoder(Answer)


def framed(message: Any) -> bytes:
    """A message with its length before it."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


def told(answer: Answer, *, worker: str, queued_s: float, peak_rss: int = 0) -> TaskEvent:
    """An answer as the event that ends its task; `peak_rss` is what was seen from outside."""
    error = None
    if answer.error is not None:
        kind, message, trace = answer.error
        error = TaskError(type=kind, message=message, trace=trace)
    raised = Fate.OOM if error is not None and error.type == "MemoryError" else Fate.ERROR
    return TaskEvent(
        task=answer.id,
        fate=Fate.OK if error is None else raised,
        worker=worker,
        at=time.time(),
        result=answer.result,
        error=error,
        queued_s=queued_s,
        wall_s=answer.wall_s,
        cpu_s=answer.cpu_s,
        peak_rss=max(answer.peak_rss, peak_rss),
    )


def temporary(output: str, task: str) -> str:
    """Where a task writes its output until it is done; no two tasks have the same."""
    return f"{output}.{task}.part"


class Frames:
    """The frames that come through a socket, put together again from what was received."""

    def __init__(self, stream: socket) -> None:
        self._stream = stream
        self._held = bytearray()

    def receive(self) -> Iterator[bytes]:
        """The frames that are complete after one more read; EOFError when the other side is gone."""
        try:
            got = self._stream.recv(_CHUNK)
        except ConnectionError:
            got = b""
        if not got:
            raise EOFError
        self._held += got
        while len(self._held) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
            if len(self._held) < end:
                return
            frame = bytes(self._held[_LENGTH.size : end])
            del self._held[:end]
            yield frame
