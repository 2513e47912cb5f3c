"""The process that loads model files which may crash it: it forks for each file, and reports what happened.

It serves one format, whose library it imports once. It reads from a socket: JSON that describes the
format, then for each file its sizes with the descriptor of a temporary file. It answers each with a line
of JSON: why the file can't be used, or an empty text, and the largest difference of its predictions. It ends
when the other side closes the socket, or asks for nothing for a minute.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tidemill.adapters.codec.events import decode
from tidemill.adapters.lanes.exit_causes import describe_exit
from tidemill.models.io.golden_check import check_golden_rows
from tidemill.ports.formats import GoldenCheck, ModelFormat
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe_server import SIZE, SIZES, FormatOptions
from tidemill.workflow.model import Artifact

_POLL_S = 0.005
_PAGE = resource.getpagesize()
# What libraries import if it is installed, and don't need to load and predict: it takes seconds.
_OPTIONAL = {
    "lightgbm": ("dask", "matplotlib", "pandas", "sklearn"),
    "xgboost": ("dask", "matplotlib", "pandas", "sklearn"),
    "sklearn": ("pytest", "torch"),
}


def main(descriptor: int) -> None:
    """Serve the socket until the other side closes it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    os.dup2(2, 1)
    [size] = SIZE.unpack(connection.recv(SIZE.size, socket.MSG_WAITALL))
    form, idle_s = _open_format(connection.recv(size, socket.MSG_WAITALL))
    connection.settimeout(idle_s)
    # What was imported stays: children neither collect it nor copy its pages to do so.
    gc.disable()
    gc.freeze()
    with suppress(TimeoutError, ConnectionError):
        while True:
            sizes, descriptors, *_ = socket.recv_fds(connection, SIZES.size, 1, socket.MSG_WAITALL)
            if len(sizes) < SIZES.size or not descriptors:
                return
            found = _check_in_fork(form, descriptors[0], SIZES.unpack(sizes))
            os.close(descriptors[0])
            connection.sendall(json.dumps(asdict(found)).encode() + b"\n")


def _open_format(description: bytes) -> tuple[ModelFormat, float]:
    """The format of a description with its library imported, and how long to wait for files."""
    job = json.loads(description)
    sys.path[:] = dict.fromkeys([*job["path"], *sys.path])
    sys.meta_path.insert(0, _Absent(_OPTIONAL.get(job["format"], ())))
    options = msgspec.convert(job["options"], FormatOptions)
    form = next(form for form in open_formats(options) if form.name == job["format"])
    for module in form.modules:
        import_module(module)
    return form, float(job["idle_s"])


class _Absent(MetaPathFinder):
    """Finds none of some modules, as if they weren't installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for the modules that are absent; others are left to the next finder."""
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def _check_in_fork(form: ModelFormat, file: int, sizes: tuple[int, ...]) -> GoldenCheck:
    """Load a file in a child of this process, which is killed when it exceeds a limit."""
    seconds, patience, memory = sizes[3:]
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        with suppress(BaseException), os.fdopen(theirs, "wb") as answer:
            answer.write(json.dumps(asdict(_check(form, file, sizes))).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        killed, status = _watch(child, patience, memory)
        text = answer.read()
    code = os.waitstatus_to_exitcode(status)
    if not killed and code == -signal.SIGXCPU:
        killed = f"it wasn't loaded after {seconds} s of CPU time"
    if killed or code or not text:
        return GoldenCheck(fault=killed or describe_exit(code))
    found: dict[str, Any] = json.loads(text)
    return GoldenCheck(**found)


def _check(form: ModelFormat, file: int, sizes: tuple[int, ...]) -> GoldenCheck:
    with os.fdopen(os.dup(file), "rb") as body:
        body.seek(0)
        artifact, payload, golden = (body.read(size) for size in sizes[:3])
    return check_golden_rows(form, decode(Artifact, artifact.decode()), payload, golden)


def _watch(child: int, patience: float, memory: int) -> tuple[str, int]:
    """Wait for a child; return why it was killed, and its status."""
    begun, before, parent = time.monotonic(), _resident(child), os.getppid()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "", status
        if time.monotonic() - begun > patience:
            why = f"it wasn't loaded after {patience:.0f} s"
        elif _resident(child) - before > memory:
            why = f"it took more than {memory / 1e9:.1f} GB of memory"
        elif os.getppid() != parent:
            why = "nobody waits for it"
        else:
            time.sleep(_POLL_S)
            continue
        os.kill(child, signal.SIGKILL)
        return why, os.waitpid(child, 0)[1]


def _resident(process: int) -> int:
    """The resident memory of a process in bytes; 0 without /proc."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
