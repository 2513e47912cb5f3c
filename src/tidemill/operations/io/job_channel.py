"""Messages between the supervisor and its processes: one JSON document a line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.supervision import (
    JobAnswer,
    ListenNews,
    SourcePlace,
    WorkflowDescription,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildMessage:
    """What a process says: the description of its workflow, why it has none, or the answer to a job.

    Or `news` of a source that is listened to. With a fault that is a refusal, whoever started it may not do
    so.
    """

    description: WorkflowDescription | None = None
    fault: str = ""
    is_refusal: bool = False
    answer: JobAnswer | None = None
    news: ListenNews | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions:
    """Which workflow of which project a process opens, and the ledger that it must find there.

    `ledger` is the device and the inode of its file. `begins` records that the supervisor began to work.
    """

    root: str
    workflow: str | None
    environment: str
    ledger: tuple[int, int]
    begins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenTo:
    """The sources that a process listens to."""

    places: tuple[SourcePlace, ...]


def encode_line(message: object) -> bytes:
    """Encode a message with the end of its line."""
    return msgspec.json.encode(message) + b"\n"


def decode_line(line: bytes, kind: type[T]) -> T:
    """Decode a message; msgspec.DecodeError for anything else."""
    return msgspec.json.decode(line, type=kind)


class LineReader:
    """Reads the lines that have arrived at a socket that doesn't block."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._rest = b""
        self.is_over = False

    def lines(self) -> Iterator[bytes]:
        """The whole lines so far; `is_over` once the other side has closed."""
        while not self.is_over:
            try:
                received = self._stream.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                received = b""
            self.is_over = not received
            *whole, self._rest = (self._rest + received).split(b"\n")
            yield from whole
