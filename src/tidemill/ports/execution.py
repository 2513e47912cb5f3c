"""Port: execution engines. Tasks and their events are plain data, so that any engine can run them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from typing import Protocol, TypeAlias

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

# Functions that tasks name, for engines whose tasks run in the caller's own process.
TaskFunctions: TypeAlias = Mapping[str, Callable[[bytes, tuple[str, ...], str], bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A function to call in a worker, with its arguments and resource limits.

    `function` is `package.module:name`. It is called as `name(params, inputs, output)` and returns a few
    bytes or None. `inputs` and `output` are paths or URIs, so that no data travels in a task: the
    function writes to `output`, which becomes the task's output once the function has returned.
    `cpus` is the number of CPUs reserved, and of threads for Polars and BLAS. `memory` (bytes) caps the
    private memory of its process; 0 is no cap. `gpus` are whole devices, used by no other task meanwhile.
    The waiting task with the highest `priority` starts first. Tasks of different worker classes never
    share a process.
    """

    id: str
    function: str
    params: bytes = b""
    inputs: tuple[str, ...] = ()
    output: str = ""
    cpus: float = 1.0
    memory: int = 0
    gpus: int = 0
    timeout_s: float | None = None
    priority: int = 0
    worker_class: str = "default"

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":")
        if not (module and name):
            raise UsageError(f"task {self.id}: function {self.function!r} is not module:name")
        if not self.cpus > 0:
            raise UsageError(f"task {self.id}: cpus={self.cpus} is not a number of CPUs")
        if self.memory < 0:
            raise UsageError(f"task {self.id}: memory={self.memory} is not a number of bytes")
        if self.gpus < 0:
            raise UsageError(f"task {self.id}: gpus={self.gpus} is not a number of devices")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise UsageError(f"task {self.id}: timeout_s={self.timeout_s} leaves no time")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerClass:
    """How the workers of a class share the machine with other classes and programs.

    `niceness` (0 to 19) lowers their CPU priority. `memory` (bytes) limits the sum of the memory caps of
    the class's running tasks; 0 is no limit. Tasks of a `deferrable` class never delay others: while a
    task of another class waits, the CPUs and workers that they use count as free.
    """

    niceness: int = 0
    memory: int = 0
    deferrable: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.niceness <= 19:
            raise UsageError(f"niceness={self.niceness} is not from 0 (none) to 19 (most)")
        if self.memory < 0:
            raise UsageError(f"memory={self.memory} is not a number of bytes")


class Fate(StrEnum):
    """The state of a task; all but STARTED are final, and each task gets exactly one final state.

    ERROR: its function raised. LOST: its process died. OOM: it exceeded its memory cap, or the machine
    ran out of memory. BUDGET: it would have exceeded a budget.
    """

    STARTED = "started"
    OK = "ok"
    ERROR = "error"
    LOST = "lost"
    OOM = "oom"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """An exception as text, because not every exception can be sent between processes."""

    type: str
    message: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """A change of a task's state: where and when (Unix seconds), and its cost in seconds and bytes.

    `result` are the bytes that its function returned. `peak_rss` is the peak memory of its process while
    it ran, as far as it was measured.
    """

    task: str
    fate: Fate
    worker: str
    at: float
    result: bytes = b""
    error: TaskError | None = None
    queued_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUsage:
    """What a task has used so far: seconds, CPU seconds of its process and those below it, peak bytes."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0


class TaskMeter(Protocol):
    """Watches what tasks use while they run."""

    def find_over(self, tasks: Mapping[str, TaskUsage], workers_cpu_s: float) -> Collection[str]:
        """Return the tasks that must end now; called several times a second by a thread of the engine.

        `tasks` are the running ones. `workers_cpu_s` is the CPU time of all worker processes that haven't
        ended, also of those that start or wait.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The load of an engine: workers and tasks now, and worker seconds held and busy since its start."""

    live: int
    busy: int
    waiting: int
    max_workers: int
    held_s: float
    busy_s: float


class Executor(Protocol):
    """Runs tasks and reports the final state of each exactly once; it never retries a task itself."""

    def submit(self, task: Task) -> None:
        """Queue a task; submitting the id of a queued or running task again does nothing.

        Raises UsageError for a limit that this engine can't enforce, or more devices than it has.
        """

    def cancel(self, task: str) -> None:
        """Cancel a task; in threads only a waiting one can be. Unknown tasks are ignored."""

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Yield task events since the last call; wait up to `timeout_s` for the first one."""

    def capacity(self) -> Capacity:
        """Return the engine's load now and since its start."""

    def close(self, drain_s: float = 0.0) -> None:
        """Shut down: give queued and running tasks `drain_s` seconds to finish, then cancel them."""
