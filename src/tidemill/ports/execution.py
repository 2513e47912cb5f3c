"""Work for an engine, as data: it survives a crash, and travels to any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from tidemill.core.errors import UsageError

# Functions that tasks name, for engines whose tasks run in the caller's own process.
TaskFunctions: TypeAlias = Mapping[str, Callable[[bytes, tuple[str, ...], str], bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A function of a module, and what it is to be called with.

    `function` is `package.module:name`; it is called as `name(params, inputs, output)` and gives a few
    bytes or None. `inputs` and `output` are paths or URIs, so that data never travels in a task: the
    function writes to the `output` that it is given, which becomes the task's when it returned. `cpus`
    is the share of the machine that it takes, and how many threads Polars and BLAS may have; `memory`
    (bytes) caps what its process may hold by itself, 0 is no cap. Of the tasks that wait, the one with
    the highest `priority` starts first. Tasks of different worker classes never share a process. `gpus`
    are whole devices, which nobody else has meanwhile.
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
            raise UsageError(f"task {self.id}: cpus={self.cpus} is no share of a machine")
        if self.memory < 0:
            raise UsageError(f"task {self.id}: memory={self.memory} is no number of bytes")
        if self.gpus < 0:
            raise UsageError(f"task {self.id}: gpus={self.gpus} is no number of devices")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise UsageError(f"task {self.id}: timeout_s={self.timeout_s} leaves no time")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerClass:
    """How the workers of a class share the machine with others.

    `niceness` (0 to 19) lets others have the CPU first. `memory` (bytes) is what the caps of the tasks
    that are at work in the class may add up to; 0 is no budget. While a task waits that isn't in a
    `deferrable` class, tasks in such a class don't count as having CPUs or workers: they never delay it.
    """

    niceness: int = 0
    memory: int = 0
    deferrable: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.niceness <= 19:
            raise UsageError(f"niceness={self.niceness} is not from 0 (none) to 19 (most)")
        if self.memory < 0:
            raise UsageError(f"memory={self.memory} is no number of bytes")


class Fate(StrEnum):
    """What became of a task so far; all but STARTED are final, and every task has exactly one final.

    ERROR: its function raised. LOST: its process died. OOM: it went over its memory cap, or the machine
    had no more.
    """

    STARTED = "started"
    OK = "ok"
    ERROR = "error"
    LOST = "lost"
    OOM = "oom"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """An exception as text: exceptions themselves need not survive the way from one process to another."""

    type: str
    message: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """What became of a task, where and when (Unix seconds), and what it cost; seconds and bytes.

    `result` are the bytes that its function gave. `peak_rss` is the most that its process held while it
    ran, as far as that was seen.
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
class Capacity:
    """What an engine holds now, and since it began: worker seconds that were held, and that were busy."""

    live: int
    busy: int
    waiting: int
    max_workers: int
    held_s: float
    busy_s: float


class Executor(Protocol):
    """Runs tasks, and tells the fate of each exactly once; it never runs one again by itself."""

    def submit(self, task: Task) -> None:
        """Let a task run as soon as it can; one whose id is at work already is not run twice.

        UsageError for one with a limit that this engine can't hold it to, or devices that it hasn't.
        """

    def cancel(self, task: str) -> None:
        """End a task wherever it is, or in threads if it waits; nothing happens when it isn't known."""

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """What became of tasks since it was asked last; waits for the first of it for so many seconds."""

    def capacity(self) -> Capacity:
        """What the engine holds now, and what it held since it was made."""

    def close(self, drain_s: float = 0.0) -> None:
        """End all; what is at work or waits has so many seconds left, and the rest is cancelled."""
