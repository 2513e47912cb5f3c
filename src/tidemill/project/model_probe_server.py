"""Start the process that loads model files, send it files, and restart it when it ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import IO

from tidemill.adapters.codec.events import encode
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload, byte_count
from tidemill.core.python_command import python_module
from tidemill.ports.formats import GoldenCheck

WORKER = "tidemill.project.model_probe_worker"
# The size of what a process needs to know first.
SIZE = struct.Struct("=Q")
# The sizes of the record, the model and its golden rows; the limits on seconds and bytes.
SIZES = struct.Struct("=6Q")
# Until the worker has imported the library.
_START_S = 120.0
# A process that isn't asked for so long ends.
_IDLE_S = 60.0
# How many times its seconds a file may take, on a busy machine: the worker gives up before.
_PATIENCE = 25
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """What another process needs to have the same model formats."""

    home: str
    root: str
    model_formats: tuple[str, ...] = ()
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """A model to load: its record, its bytes and its golden rows; in so many seconds of CPU, and bytes.

    A load that waits is given up after `patience` seconds.
    """

    parts: tuple[bytes, Payload, bytes]
    seconds: int
    patience: int
    memory: int


class ProbeServer:
    """A process that loads files of one format; it starts with the first file."""

    def __init__(self, options: FormatOptions, form: str) -> None:
        self._options = options
        self._form = form
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def check(self, request: ProbeRequest) -> GoldenCheck:
        """Load a model; the fault of a process that can't even start says why."""
        with self._lock:
            # A process that was idle may end just when it is asked.
            for _ in range(2):
                process = self._running_process()
                found = process.ask(request)
                if found is not None:
                    return found
                fault, ended = process.close()
                self._process = None
                if ended != 0:
                    break
            return GoldenCheck(fault=fault)

    def close(self) -> None:
        """End the process; a fork of the process that started it leaves it alone."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None and process.owner == os.getpid():
                process.close()

    def _running_process(self) -> _Process:
        # A fork of this process has the socket too, and needs a process of its own.
        if self._process is None or self._process.owner != os.getpid():
            self._process = _Process(self._options, self._form)
        return self._process


class _Process:
    def __init__(self, options: FormatOptions, form: str) -> None:
        self.owner = os.getpid()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                python_module(WORKER, str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._end = weakref.finalize(
            self, _end, self._process, self._socket, self._output, self.owner
        )
        # It ends by itself when it is idle, and would stay as a zombie until somebody waits for it.
        waiting = threading.Thread(
            target=self._process.wait, name="tidemill-probe-exit", daemon=True
        )
        waiting.start()
        job = {
            "options": json.loads(encode(options)),
            "path": [*sys.path],
            "format": form,
            "idle_s": _IDLE_S,
        }
        with suppress(OSError):  # then its answer is missing as well
            text = json.dumps(job).encode()
            self._socket.sendall(SIZE.pack(len(text)) + text)

    def ask(self, request: ProbeRequest) -> GoldenCheck | None:
        """Load a model; None if the process ended."""
        # Not through the socket: so the bytes are neither joined nor copied by the server.
        try:
            body = _temporary_file(request.parts)
        except OSError as error:
            return GoldenCheck(
                fault=f"it can't be copied to the folder for temporary files: {error}; free space there, "
                "or let TMPDIR name another folder"
            )
        self._socket.settimeout(_START_S + _PATIENCE * request.seconds)
        sizes = SIZES.pack(
            *map(byte_count, request.parts), request.seconds, request.patience, request.memory
        )
        try:
            with body:
                socket.send_fds(self._socket, [sizes], [body.fileno()])
            return GoldenCheck(**json.loads(self._answer()))
        except (OSError, EOFError):
            return None

    def _answer(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._socket.recv(1 << 16)
            if not part:
                raise EOFError
            line += part
        return line

    def close(self) -> tuple[str, int]:
        """End the process; return what it printed last, and its exit code."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        _stop(self._process)
        self._output.seek(0)
        last = self._output.read()[-1000:].decode(errors="replace").strip()
        self._end()
        code = self._process.returncode
        return f"the process that loads it ended: {last or code}", code


def _temporary_file(parts: Iterable[Payload]) -> IO[bytes]:
    with ExitStack() as opened:
        file = opened.enter_context(tempfile.TemporaryFile())
        file.writelines(parts)
        file.flush()
        opened.pop_all()
        return file


def _end(
    process: subprocess.Popen[bytes], connection: socket.socket, output: IO[bytes], owner: int
) -> None:
    connection.close()
    output.close()
    # A fork has copies of the files, but the process isn't its own.
    if os.getpid() == owner:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # With the child that loads a file. It may end just now.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
