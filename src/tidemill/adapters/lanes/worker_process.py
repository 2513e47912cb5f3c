"""Start, monitor and stop one worker process, from the lane's side."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import SOCK_STREAM, socketpair

from tidemill.adapters.lanes.exit_causes import explain_failed_start, output_tail
from tidemill.adapters.lanes.task_queue import QueuedTask, WorkerKind
from tidemill.adapters.lanes.worker_protocol import FrameReader
from tidemill.core.python_command import python_module
from tidemill.core.spin_limit import spin_limit
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.io.home_files import make_private_folder
from tidemill.ledger.io.process_usage import process_tree_cpu
from tidemill.ports.execution import Fate, Task, TaskUsage

WORKER_MODULE = "tidemill.adapters.lanes.worker_main"
# Variables from which Polars and the common BLAS libraries read their number of threads.
_THREAD_VARIABLES = (
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_EXIT_TIMEOUT_S = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class WorkerProcess:
    """A worker process of one kind; `task` is the task it runs.

    `changed_at` is when it became idle or busy (monotonic). `peak_rss` and `cpu_s` are measured for its task
    from outside. `exit_seen`: a check found the process gone, so by the next check all its messages have
    been read.

    Starting raises OSError when the system can't start a process. The process writes its output to a file
    in the folder `output`.
    """

    def __init__(
        self,
        kind: WorkerKind,
        *,
        niceness: int = 0,
        devices: tuple[str, ...] = (),
        output: Path | None = None,
    ) -> None:
        self.kind, self.devices = kind, devices
        self.task: Task | None = None
        self.changed_at = self.started_at = time.monotonic()
        self.is_ready = self.exit_seen = False
        self.peak_rss = self._peak_total = 0
        self.queued_s = self.wall_s = self.cpu_s = 0.0
        self._cpu_start: float | None = None
        # Why the lane killed it, if it did: the fate of its task, or its violation of the protocol.
        self.kill_reason: Fate | None = None
        self.protocol_error = ""
        self.unsent = memoryview(b"")
        leash, self._parent_pipe = os.pipe()
        try:
            self.stream, theirs = socketpair(type=SOCK_STREAM)
            # The worker's ends are always closed here, ours only if the start fails.
            with theirs, ExitStack() as undo:
                undo.enter_context(self.stream)
                self._process = _start_process(
                    kind, theirs.fileno(), leash, niceness, devices, output
                )
                undo.pop_all()
        except OSError:
            os.close(self._parent_pipe)
            raise
        finally:
            os.close(leash)
        self.stream.setblocking(False)
        self.frames = FrameReader(self.stream)
        self._output_file = None if output is None else output / f"{self.name}.out"
        self._output_start = 0

    @property
    def name(self) -> str:
        return str(self._process.pid)

    def send_task(self, taken: QueuedTask) -> None:
        """Start sending a task without blocking; `send_more` continues with what is left in `unsent`."""
        self.task, self.changed_at = taken.task, time.monotonic()
        self.peak_rss = self._peak_total = 0
        self.queued_s, self.cpu_s, self._cpu_start = taken.queued_s, 0.0, None
        if self._output_file is not None:
            self._output_start = self._output_size()
        self.unsent = memoryview(taken.message)
        self.send_more()

    def send_more(self) -> None:
        """Send more of the message; if the worker is gone, reading its answer will show that."""
        try:
            self.unsent = self.unsent[self.stream.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.unsent = memoryview(b"")

    def measure_memory(self) -> int:
        """Measure the process's private memory in bytes, without shared mappings; 0 without /proc."""
        try:
            total, shared = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1:3]
        except (OSError, ValueError):
            return 0
        held = (int(total) - int(shared)) * _PAGE
        self.peak_rss = max(self.peak_rss, held)
        self._peak_total = max(self._peak_total, int(total) * _PAGE)
        return held

    def measure_cpu(self) -> float:
        """Update `cpu_s`, the CPU time of the task since the first call for it; return that of the process.

        It includes processes that the task started; it is 0 for a process that has exited.
        """
        gone = self._process.returncode is not None
        cpu_s = None if gone else process_tree_cpu(self._process.pid)
        if cpu_s is None:
            return 0.0
        self._cpu_start = cpu_s if self._cpu_start is None else self._cpu_start
        self.cpu_s = max(self.cpu_s, cpu_s - self._cpu_start)
        return cpu_s

    @property
    def usage(self) -> TaskUsage:
        """What its task has used by the last measurements, as workers measure it themselves."""
        wall_s = time.monotonic() - self.changed_at
        return TaskUsage(wall_s=wall_s, cpu_s=self.cpu_s, peak_rss=self._peak_total)

    def has_exited(self) -> bool:
        """Whether the process has exited."""
        return self._process.poll() is not None

    def kill(self, reason: Fate | None = None) -> None:
        """Kill the process and its children."""
        self.kill_reason = self.kill_reason or reason
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def disconnect(self) -> None:
        """Close the connection, which makes an idle worker exit."""
        self.stream.close()
        self.changed_at = time.monotonic()

    def reap(self) -> bool:
        """Whether a disconnected process has exited; kill its children, and the process if it is late."""
        if not self.has_exited():
            if time.monotonic() - self.changed_at > _EXIT_TIMEOUT_S:
                self.protocol_error = self.protocol_error or "it closed its connection to the lane"
                self.kill()
            return False
        self.kill()
        os.close(self._parent_pipe)
        if self._output_file is not None and not self._output_size():
            with suppress(OSError):
                self._output_file.unlink()
        return True

    def output_tail(self) -> str:
        """The end of the worker's output since its task started; empty if output isn't kept."""
        return (
            "" if self._output_file is None else output_tail(self._output_file, self._output_start)
        )

    @staticmethod
    def explain_failed_start() -> str:
        """Explain why no worker can be started."""
        return explain_failed_start(WORKER_MODULE)

    @property
    def exit_code(self) -> int:
        """The exit code of a process that has exited."""
        return self._process.wait()

    def _output_size(self) -> int:
        assert self._output_file is not None
        try:
            return self._output_file.stat().st_size
        except OSError:
            return 0


def _start_process(
    kind: WorkerKind,
    stream: int,
    parent_pipe: int,
    niceness: int,
    devices: tuple[str, ...],
    output: Path | None,
) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, str(kind.threads)),
        **spin_limit(os.environ),
    }
    # The code of a stage acts for nobody.
    environment.pop(TOKEN_VARIABLE, None)
    if devices:
        environment[DEVICES_VARIABLE] = ",".join(devices)
    if output is not None:
        # If the folder can't be created, the worker writes to this process's output.
        with suppress(OSError):
            make_private_folder(output, below=output.parent.parent)
    arguments = [str(stream), str(parent_pipe), str(niceness), str(output or "")]
    return subprocess.Popen(
        python_module(WORKER_MODULE, *arguments),
        pass_fds=(stream, parent_pipe),
        stdin=subprocess.DEVNULL,
        env=environment,
        # A process group, so that children of the user's code are killed too. Where Linux divides CPU time
        # between sessions first, a worker that gives way does so by the niceness of a session of its own;
        # in that of this process it would give way to nothing else.
        start_new_session=niceness > 0,
        process_group=None if niceness > 0 else 0,
    )
