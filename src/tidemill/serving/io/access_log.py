"""Write a line for each request, in a thread of its own: a full disk or a slow one delays no reply."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

# Requests that wait to be written; beyond that lines are dropped, and counted.
MOST_WAITING = 50_000
_PAUSE_S = 0.2
_ENCODER = msgspec.json.Encoder()


class AccessLine(NamedTuple):
    """A request, without anything that it or its answer contains.

    `at` is when it was answered (Unix seconds), `token` the id of the token and `user` whom the proxy names,
    "" without one. `traceparent` is the header that W3C Trace Context defines; it isn't logged.
    """

    at: float
    request: bytes
    token: str
    endpoint: str
    version: str
    status: int
    rows: int
    wall_ns: int
    cpu_ns: int
    bytes_in: int
    bytes_out: int
    traceparent: bytes = b""
    user: str = ""


class AccessLog:
    """Appends JSON lines to a file, which may be renamed or truncated at any time; see logrotate.

    `add` only queues a line. A thread writes what is queued; what it can't write is dropped and counted.
    """

    def __init__(self, path: Path, *, most_waiting: int = MOST_WAITING) -> None:
        self.drops = 0
        self._path = path
        self._most = most_waiting
        self._waiting: deque[AccessLine] = deque()
        self._file = -1
        self._is_torn = False
        self._place = (0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Open the file, so that a wrong path is an error at once (OSError), and begin to write."""
        self._open()
        self._thread.start()

    def add(self, line: AccessLine) -> None:
        """Queue a line; drop it if too many wait."""
        if len(self._waiting) < self._most:
            self._waiting.append(line)
        else:
            self.drops += 1

    def close(self) -> None:
        """Write what is queued, and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not lines:
            return
        text = b"".join(map(_encoded, lines))
        try:
            self._reopen_if_moved()
            # What a full disk cut off ends as a line of its own.
            _write_all(self._file, b"\n" + text if self._is_torn else text)
            self._is_torn = False
        except OSError:
            self._is_torn = True
            self.drops += len(lines)

    def _reopen_if_moved(self) -> None:
        """Open the path again if the file was renamed or removed, as logrotate does."""
        found = None
        with suppress(FileNotFoundError):
            found = os.stat(self._path)
        if self._file < 0 or found is None or (found.st_dev, found.st_ino) != self._place:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Appending is safe when the file is truncated under the writer (copytruncate).
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        found = os.fstat(self._file)
        self._place = found.st_dev, found.st_ino


def _write_all(file: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(file, rest) :]


def _encoded(line: AccessLine) -> bytes:
    seconds, milliseconds = divmod(int(line.at * 1000), 1000)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return (
        _ENCODER.encode(
            {
                "time": f"{at}.{milliseconds:03d}Z",
                "request": line.request.decode("latin-1"),
                "token": line.token,
                "user": line.user,
                "auth": "proxy" if line.user else "token" if line.token else "",
                "endpoint": line.endpoint,
                "version": line.version,
                "status": line.status,
                "rows": line.rows,
                "ms": round(line.wall_ns / 1e6, 3),
                "cpu_us": round(line.cpu_ns / 1e3, 1),
                "bytes_in": line.bytes_in,
                "bytes_out": line.bytes_out,
            }
        )
        + b"\n"
    )
