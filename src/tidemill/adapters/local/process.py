"""One worker process, as its lane sees it: started, told what to do, watched, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from socket import SOCK_STREAM, socketpair

from tidemill.adapters.local.wire import Call, Frames, framed
from tidemill.domain.task import Fate, Task

_MODULE = "tidemill.adapters.local.worker"
# What Polars and the usual BLAS libraries read to know how many threads they may have.
_THREADS = (
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LEAVE_S = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Process:
    """A worker with so many threads; `task` is what it is at work on, since `since` (monotonic)."""

    def __init__(self, worker_class: str, threads: int) -> None:
        self.kind = (worker_class, threads)
        self.task: Task | None = None
        self.since = self.started = time.monotonic()
        self.ready = False
        self.peak = 0
        self.cpus = self.queued_s = 0.0
        # Why the lane killed it, if it did: the fate of its task.
        self.ended_for: Fate | None = None
        self.stream, theirs = socketpair(type=SOCK_STREAM)
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=_environment(threads),
                # Its own group: what the user's code started goes with it.
                start_new_session=True,
            )
        self.frames = Frames(self.stream)

    @property
    def name(self) -> str:
        return str(self._child.pid)

    def call(self, task: Task, queued_s: float) -> None:
        """Send a task; that the worker is gone shows when its answer is read."""
        self.task, self.since, self.peak = task, time.monotonic(), 0
        self.cpus, self.queued_s = task.cpus, queued_s
        call = Call(task.id, task.function, task.params, task.inputs, task.output)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.stream.sendall(framed(call))

    def resident(self) -> int:
        """Bytes of memory that the process holds by itself; what it only maps isn't counted."""
        try:
            total, shared = Path(f"/proc/{self._child.pid}/statm").read_text().split()[1:3]
        except (OSError, ValueError):
            return 0
        held = (int(total) - int(shared)) * _PAGE
        self.peak = max(self.peak, held)
        return held

    def kill(self, why: Fate | None = None) -> None:
        """Kill the process and what it started."""
        self.ended_for = self.ended_for or why
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def leave(self) -> None:
        """Tell the process to end by itself."""
        self.since = time.monotonic()
        self.stream.close()

    def left(self) -> bool:
        """Whether a process that was told to leave is gone; one that takes long is killed."""
        if self._child.poll() is None and time.monotonic() - self.since > _LEAVE_S:
            self.kill()
            self._child.wait()
        return self._child.returncode is not None

    def end(self) -> int:
        """The exit code of a process that closed its connection; what it started goes with it."""
        self.stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=_LEAVE_S)
        self.kill()
        return self._child.wait()


def _environment(threads: int) -> dict[str, str]:
    return {**os.environ, **dict.fromkeys(_THREADS, str(threads))}


def cause(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"


def machine_kills() -> int:
    """How many processes this machine ended for lack of memory so far; 0 where that isn't told."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def why_not(timeout_s: float = 20.0) -> str:
    """Why a worker can't start: what it says when it is tried once more, without a lane."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {_MODULE}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.stderr.strip() or "it ended before it was ready, and said nothing"
