"""Queue tasks by priority, first come first served among equals."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Task


class WorkerKind(NamedTuple):
    """The kind of worker that a task needs: its class, thread count and number of devices."""

    worker_class: str
    threads: int
    gpus: int


def worker_kind(task: Task) -> WorkerKind:
    """The kind of worker that a task needs; a fraction of a CPU counts as one thread."""
    return WorkerKind(task.worker_class, max(1, int(task.cpus)), task.gpus)


def reject_limits(task: Task) -> None:
    """Raise UsageError for limits that can't be enforced in the caller's own process."""
    if task.timeout_s is not None or task.memory:
        raise UsageError(
            f"task {task.id}: a task in this process can't have a time or memory limit"
        )
    if task.gpus:
        raise UsageError(
            f"task {task.id}: a task in this process can't reserve {task.gpus} devices"
        )


class QueuedTask(NamedTuple):
    """A task removed from the queue, with the seconds it waited and the message for its worker."""

    task: Task
    queued_s: float
    message: bytes


class TaskQueue:
    """A priority queue per kind of worker, with removal of any task; `deferrable` classes come last."""

    def __init__(self, deferrable: Collection[str] = ()) -> None:
        self._deferrable = frozenset(deferrable)
        self._heaps: dict[WorkerKind, list[tuple[int, int, str]]] = {}
        # Each with its current number; a heap entry with another number was removed and is skipped.
        self._tasks: dict[str, tuple[int, Task, float, bytes]] = {}
        self._counts: dict[WorkerKind, int] = {}
        self._order = count()

    def __len__(self) -> int:
        return len(self._tasks)

    def put(self, task: Task, message: bytes = b"") -> None:
        """Add a task, with the message to send to its worker."""
        kind, number = worker_kind(task), next(self._order)
        self._tasks[task.id] = (number, task, time.monotonic(), message)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        heappush(self._heaps.setdefault(kind, []), (-task.priority, number, task.id))

    def peek(self) -> Task | None:
        """The next task, without removing it; None if the queue is empty."""
        return next((task for _, task in self.next_by_kind()), None)

    def next_by_kind(self) -> Iterator[tuple[WorkerKind, Task]]:
        """The next task of each kind, in the order in which they should start."""
        heads = []
        for kind, heap in [*self._heaps.items()]:
            while heap and not self._is_queued(*heap[0]):
                heappop(heap)
            if heap:
                heads.append((kind.worker_class in self._deferrable, heap[0], kind))
            else:
                del self._heaps[kind]
        if len(heads) > 1:
            heads.sort()
        for _, (_, _, name), kind in heads:
            yield kind, self._tasks[name][1]

    def tasks(self) -> list[Task]:
        """All queued tasks, in the order in which they came."""
        return [task for _, task, _, _ in self._tasks.values()]

    def count(self, kind: WorkerKind) -> int:
        """The number of queued tasks of a kind."""
        return self._counts.get(kind, 0)

    def take(self, task: str) -> QueuedTask | None:
        """Remove a task from the queue; None if it isn't queued."""
        held = self._tasks.pop(task, None)
        if held is None:
            return None
        kind = worker_kind(held[1])
        self._counts[kind] -= 1
        if not self._counts[kind]:
            del self._counts[kind]
        return QueuedTask(held[1], time.monotonic() - held[2], held[3])

    def _is_queued(self, _: int, number: int, task: str) -> bool:
        held = self._tasks.get(task)
        return held is not None and held[0] == number
