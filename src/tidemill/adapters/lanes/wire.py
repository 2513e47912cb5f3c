"""The protocol between a lane and its workers: MessagePack messages in length-prefixed frames."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from socket import socket
from typing import Any

import msgspec

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Fate, Task, TaskError, TaskEvent

_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 16
# The largest message in bytes; larger data is passed by path or URI.
MOST = 1 << 30


class Call(msgspec.Struct, array_like=True, gc=False):
    """A task as sent to a worker."""

    id: str
    function: str
    params: bytes
    inputs: tuple[str, ...]
    output: str


class Answer(msgspec.Struct, array_like=True, gc=False):
    """A worker's answer to a call; `error` is (type, message, traceback).

    The first answer, with the id "", says that the worker is ready.
    """

    id: str
    result: bytes = b""
    error: tuple[str, str, str] | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0
    starved: bool = False


encode = msgspec.msgpack.Encoder().encode
calls = msgspec.msgpack.Decoder(Call)
answers = msgspec.msgpack.Decoder(Answer)


def framed(message: Any) -> bytes:
    """Encode a message with its length in front."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


def sent(task: Task) -> bytes:
    """Encode a task as the message to its worker; UsageError when it can't be encoded or is too large."""
    try:
        message = framed(Call(task.id, task.function, task.params, task.inputs, task.output))
    except (UnicodeEncodeError, OverflowError, ValueError) as error:
        raise UsageError(f"task {task.id!r} can't be sent to a worker: {error}") from None
    if len(message) > MOST:
        raise UsageError(
            f"task {task.id}: {len(message):,} bytes are too many to be sent to a worker; write them "
            "to a file and list it in inputs"
        )
    return message


def told(answer: Answer, *, worker: str, queued_s: float, peak_rss: int = 0) -> TaskEvent:
    """Convert an answer to the final event of its task; `peak_rss` is the lane's own measurement."""
    error = None
    if answer.error is not None:
        kind, message, trace = answer.error
        if answer.starved and not message:
            message = "it requested more memory than was available"
        error = TaskError(type=kind, message=message, trace=trace)
    raised = Fate.OOM if answer.starved else Fate.ERROR
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
    """The unique path where a task writes its output until it is finished."""
    return f"{output}.{task}.part"


class Frames:
    """Reassemble the frames that arrive through a socket."""

    def __init__(self, stream: socket) -> None:
        self._stream = stream
        self._held = bytearray()

    def receive(self) -> Iterator[bytes]:
        """Read once and yield the frames that are complete; EOFError when the other side is gone.

        ValueError for a frame that is longer than any message.
        """
        try:
            got = self._stream.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            got = b""
        if not got:
            raise EOFError
        self._held += got
        while len(self._held) >= _LENGTH.size:
            length = _LENGTH.unpack_from(self._held)[0]
            if length > 2 * MOST:
                raise ValueError("the frame is too long")
            end = _LENGTH.size + length
            if len(self._held) < end:
                return
            with memoryview(self._held) as held:
                frame = bytes(held[_LENGTH.size : end])
            del self._held[:end]
            yield frame
