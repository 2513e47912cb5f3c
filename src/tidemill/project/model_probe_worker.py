"""The process that loads model files which may crash it: it forks for each file, and reports what happened.

It reads a job from its input: a line of JSON, then the bytes of the files. It writes one line of JSON for
each file: why it can't be used, or an empty text.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl

from tidemill.adapters.codec.events import decode
from tidemill.adapters.lanes.exit_causes import describe_exit
from tidemill.core.errors import TidemillError
from tidemill.models.golden_rows import find_golden_fault
from tidemill.ports.formats import ModelFormat
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import FormatOptions
from tidemill.workflow.model import Artifact

_POLL_S = 0.005
# The limit is on CPU time; on a busy machine, or waiting, a load may take this many times as long.
_IDLE = 20
_PAGE = resource.getpagesize()
# Of a message: a pipe holds 64 kB until it is read.
_LONGEST = 8_000


def main() -> None:
    """Load the files of the job on the standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    given = sys.stdin.buffer
    job = json.loads(given.readline())
    sys.path[:] = dict.fromkeys([*job["path"], *sys.path])
    options = msgspec.convert(job["options"], FormatOptions)
    form = next(form for form in open_formats(options) if form.name == job["format"])
    for module in form.modules:
        import_module(module)
    for file in job["files"]:
        payload, golden = given.read(file["payload"]), given.read(file["golden"])
        artifact = decode(Artifact, file["artifact"])
        fault = _fault_in_fork(form, artifact, payload, golden, file)
        answers.write(json.dumps(fault).encode() + b"\n")
        answers.flush()


def _fault_in_fork(
    form: ModelFormat, artifact: Artifact, payload: bytes, golden: bytes, file: dict[str, Any]
) -> str:
    """Load a file in a child of this process, which is killed when it exceeds a limit."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        limit = int(file["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        with suppress(BaseException), os.fdopen(theirs, "wb") as answer:
            answer.write(find_fault(form, artifact, payload, golden).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        killed, status = _watch(child, answer, file["seconds"], file["memory"])
        text = answer.read().decode()
    if killed:
        return killed
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return f"it wasn't loaded after {file['seconds']:.0f} s of CPU time"
    return describe_exit(code) if code else text.removesuffix("ok")


def _watch(child: int, answer: BinaryIO, seconds: float, memory: int) -> tuple[str, int]:
    """Wait for a child; return why it was killed, and its status."""
    begun, before = time.monotonic(), _resident(child)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "", status
        if time.monotonic() - begun > _IDLE * seconds:
            why = f"it wasn't loaded after {_IDLE * seconds:.0f} s"
        elif _resident(child) - before > memory:
            why = f"it took more than {memory / 1e9:.1f} GB of memory"
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


def find_fault(form: ModelFormat, artifact: Artifact, payload: bytes, golden: bytes) -> str:
    """Load a file and predict its golden rows; return why it can't be used, or "ok"."""
    try:
        function = form.load(payload)
        if not golden:
            return "ok"
        rows = pl.read_parquet(io.BytesIO(golden))
        return find_golden_fault(function, artifact, rows)[:_LONGEST] or "ok"
    except TidemillError as error:
        return str(error)[:_LONGEST]
    # Whatever a library raises for a damaged file.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error)[:500]}"


if __name__ == "__main__":
    main()
