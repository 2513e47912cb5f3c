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
_READ_BYTES = 1 << 16
# The largest message in bytes; larger data is passed by path or URI.
MAX_MESSAGE_BYTES = 1 << 30


class TaskCall(msgspec.Struct, array_like=True, gc=False):
    """A task as sent to a worker."""

    id: str
    function: str
    params: bytes
    inputs: tuple[str, ...]
    output: str


class TaskAnswer(msgspec.Struct, array_like=True, gc=False):
    """A worker's answer to a call; `error` is (type, message, traceback).

    The first answer, with the id "", says that the worker is ready.
    """

    id: str
    result: bytes = b""
    error: tuple[str, str, str] | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0
    out_of_memory: bool = False


encode = msgspec.msgpack.Encoder().encode
call_decoder = msgspec.msgpack.Decoder(TaskCall)
answer_decoder = msgspec.msgpack.Decoder(TaskAnswer)


def frame_message(message: Any) -> bytes:
    """Encode a message with its length in front."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


def call_message(task: Task) -> bytes:
    """Encode a task as the message to its worker; UsageError when it can't be encoded or is too large."""
    try:
        message = frame_message(
            TaskCall(task.id, task.function, task.params, task.inputs, task.output)
        )
    except (UnicodeEncodeError, OverflowError, ValueError) as error:
        raise UsageError(f"task {task.id!r} can't be sent to a worker: {error}") from None
    if len(message) > MAX_MESSAGE_BYTES:
        raise UsageError(
            f"task {task.id}: {len(message):,} bytes are too many to be sent to a worker; write them "
            "to a file and list it in inputs"
        )
    return message


def task_event(answer: TaskAnswer, *, worker: str, queued_s: float, peak_rss: int = 0) -> TaskEvent:
    """Convert an answer to the final event of its task; `peak_rss` is the lane's own measurement."""
    error = None
    if answer.error is not None:
        kind, message, trace = answer.error
        if answer.out_of_memory and not message:
            message = "it requested more memory than was available"
        error = TaskError(type=kind, message=message, trace=trace)
    raised = Fate.OOM if answer.out_of_memory else Fate.ERROR
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


def temporary_path(output: str, task_id: str) -> str:
    """The unique path where a task writes its output until it is finished."""
    return f"{output}.{task_id}.part"


class FrameReader:
    """Reassemble the frames that arrive through a socket."""

    def __init__(self, stream: socket) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def receive(self) -> Iterator[bytes]:
        """Read once and yield the frames that are complete; EOFError when the other side is gone.

        ValueError for a frame that is longer than any message.
        """
        try:
            got = self._stream.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            got = b""
        if not got:
            raise EOFError
        self._buffer += got
        while len(self._buffer) >= _LENGTH.size:
            length = _LENGTH.unpack_from(self._buffer)[0]
            if length > 2 * MAX_MESSAGE_BYTES:
                raise ValueError("the frame is too long")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as held:
                frame = bytes(held[_LENGTH.size : end])
            del self._buffer[:end]
            yield frame
