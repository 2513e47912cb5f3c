"""Start, monitor and stop one worker process, from the lane's side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import SOCK_STREAM, socketpair

from tidemill.adapters.lanes.exit_causes import last_words, why_not
from tidemill.adapters.lanes.task_queue import Kind, Taken
from tidemill.adapters.lanes.wire import Frames
from tidemill.ports.execution import Fate, Task

MODULE = "tidemill.adapters.lanes.worker_main"
# Variables from which Polars and the common BLAS libraries read their number of threads.
_THREADS = (
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
DEVICES = "CUDA_VISIBLE_DEVICES"
_LEAVE_S = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A worker process of one kind; `task` is the task it runs.

    `changed_at` is when it became idle or busy (monotonic). `peak_rss` and `cpu_s` are measured for its task
    from outside. `exit_seen`: a check found the process gone, so by the next check all its messages have
    been read.

    Starting raises OSError when the system can't start a process. The process writes its output to a file
    in the folder `output`.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        niceness: int = 0,
        devices: tuple[str, ...] = (),
        output: Path | None = None,
    ) -> None:
        self.kind, self.devices = kind, devices
        self.task: Task | None = None
        self.since = self.started = time.monotonic()
        self.ready = self.silent = False
        self.peak = 0
        self.queued_s = self.wall_s = self.cpu_s = 0.0
        self._cpu_before: float | None = None
        # Why the lane killed it, if it did: the fate of its task, or its violation of the protocol.
        self.ended_for: Fate | None = None
        self.fault = ""
        self.unsent = memoryview(b"")
        leash, self._leash = os.pipe()
        try:
            self.stream, theirs = socketpair(type=SOCK_STREAM)
            # The worker's ends are always closed here, ours only if the start fails.
            with theirs, ExitStack() as undo:
                undo.enter_context(self.stream)
                self._child = _started(kind, theirs.fileno(), leash, niceness, devices, output)
                undo.pop_all()
        except OSError:
            os.close(self._leash)
            raise
        finally:
            os.close(leash)
        self.stream.setblocking(False)
        self.frames = Frames(self.stream)
        self._written = None if output is None else output / f"{self.name}.out"
        self._spoke = 0

    @property
    def name(self) -> str:
        return str(self._child.pid)

    def call(self, taken: Taken) -> None:
        """Start sending a task without blocking; `send_more` continues with what is left in `unsent`."""
        self.task, self.since, self.peak = taken.task, time.monotonic(), 0
        self.queued_s, self.cpu_s, self._cpu_before = taken.queued_s, 0.0, None
        if self._written is not None:
            self._spoke = self._size()
        self.unsent = memoryview(taken.message)
        self.send()

    def send(self) -> None:
        """Send more of the message; if the worker is gone, reading its answer will show that."""
        try:
            self.unsent = self.unsent[self.stream.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.unsent = memoryview(b"")

    def resident(self) -> int:
        """Measure the process's private memory in bytes, without shared mappings; 0 without /proc."""
        try:
            total, shared = Path(f"/proc/{self._child.pid}/statm").read_text().split()[1:3]
        except (OSError, ValueError):
            return 0
        held = (int(total) - int(shared)) * _PAGE
        self.peak = max(self.peak, held)
        return held

    def spend(self) -> None:
        """Update `cpu_s`, the CPU time of the task since the first call for it."""
        try:
            stat = Path(f"/proc/{self._child.pid}/stat").read_text()
            fields = stat.rpartition(")")[2].split()
            cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        except (OSError, ValueError, IndexError):
            return
        self._cpu_before = cpu_s if self._cpu_before is None else self._cpu_before
        self.cpu_s = cpu_s - self._cpu_before

    def ended(self) -> bool:
        """Whether the process has exited."""
        return self._child.poll() is not None

    def kill(self, why: Fate | None = None) -> None:
        """Kill the process and its children."""
        self.ended_for = self.ended_for or why
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def hang_up(self) -> None:
        """Close the connection, which makes an idle worker exit."""
        self.stream.close()
        self.since = time.monotonic()

    def left(self) -> bool:
        """Whether a disconnected process has exited; kill its children, and the process if it is late."""
        if not self.ended():
            if time.monotonic() - self.since > _LEAVE_S:
                self.fault = self.fault or "it closed its connection to the lane"
                self.kill()
            return False
        self.kill()
        os.close(self._leash)
        if self._written is not None and not self._size():
            with suppress(OSError):
                self._written.unlink()
        return True

    def last_words(self) -> str:
        """The end of the worker's output since its task started; empty if output isn't kept."""
        return "" if self._written is None else last_words(self._written, self._spoke)

    @staticmethod
    def why_not() -> str:
        """Explain why no worker can be started."""
        return why_not(MODULE)

    @property
    def code(self) -> int:
        """The exit code of a process that has exited."""
        return self._child.wait()

    def _size(self) -> int:
        assert self._written is not None
        try:
            return self._written.stat().st_size
        except OSError:
            return 0


def _started(
    kind: Kind,
    stream: int,
    leash: int,
    niceness: int,
    devices: tuple[str, ...],
    output: Path | None,
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(kind.threads))}
    if devices:
        environment[DEVICES] = ",".join(devices)
    if output is not None:
        # If the folder can't be created, the worker writes to this process's output.
        with suppress(OSError):
            output.mkdir(parents=True, exist_ok=True)
    arguments = [str(stream), str(leash), str(niceness), str(output or "")]
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments],
        pass_fds=(stream, leash),
        stdin=subprocess.DEVNULL,
        env=environment,
        # A process group, so that children of the user's code are killed too. Not a session: Linux
        # divides CPU time between sessions first, so niceness would have no effect.
        process_group=0,
    )
