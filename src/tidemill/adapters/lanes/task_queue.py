"""Tasks that wait for a worker: the highest priority first, and of equals the one that came first."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Task


class Kind(NamedTuple):
    """Which workers can take a task: those of its class, with its threads and as many devices."""

    worker_class: str
    threads: int
    gpus: int


def kind_of(task: Task) -> Kind:
    """A task's kind; part of a CPU makes one thread."""
    return Kind(task.worker_class, max(1, int(task.cpus)), task.gpus)


def refuse_limits(task: Task) -> None:
    """UsageError for what a task in the caller's own process can't be held to."""
    if task.timeout_s is not None or task.memory:
        raise UsageError(f"task {task.id}: a task in this process can't be stopped by a limit")
    if task.gpus:
        raise UsageError(
            f"task {task.id}: a task in this process can't have {task.gpus} devices to itself"
        )


class Taken(NamedTuple):
    """A task that waits no more, the seconds that it did, and the message that it was put in with."""

    task: Task
    queued_s: float
    message: bytes


class Waiting:
    """A queue for each kind, from which any task can be taken back; classes that are `later` come last."""

    def __init__(self, later: Collection[str] = ()) -> None:
        self._later = frozenset(later)
        self._heaps: dict[Kind, list[tuple[int, int, str]]] = {}
        # With the number that a task has in its heap; another number there is that of one taken back.
        self._tasks: dict[str, tuple[int, Task, float, bytes]] = {}
        self._counts: dict[Kind, int] = {}
        self._order = count()

    def __len__(self) -> int:
        return len(self._tasks)

    def put(self, task: Task, message: bytes = b"") -> None:
        """Let a task wait, with the message that its worker is to be sent."""
        kind, number = kind_of(task), next(self._order)
        self._tasks[task.id] = (number, task, time.monotonic(), message)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        heappush(self._heaps.setdefault(kind, []), (-task.priority, number, task.id))

    def next(self) -> Task | None:
        """The task that is next of all, left where it is; None if none waits."""
        return next((task for _, task in self.heads()), None)

    def heads(self) -> Iterator[tuple[Kind, Task]]:
        """The task that is next of each kind, and of these first who is to go first."""
        heads = []
        for kind, heap in [*self._heaps.items()]:
            while heap and not self._waits(*heap[0]):
                heappop(heap)
            if heap:
                heads.append((kind.worker_class in self._later, heap[0], kind))
            else:
                del self._heaps[kind]
        if len(heads) > 1:
            heads.sort()
        for _, (_, _, name), kind in heads:
            yield kind, self._tasks[name][1]

    def count(self, kind: Kind) -> int:
        """How many tasks of a kind wait."""
        return self._counts.get(kind, 0)

    def take(self, task: str) -> Taken | None:
        """Take a task back; None if it doesn't wait."""
        held = self._tasks.pop(task, None)
        if held is None:
            return None
        kind = kind_of(held[1])
        self._counts[kind] -= 1
        if not self._counts[kind]:
            del self._counts[kind]
        return Taken(held[1], time.monotonic() - held[2], held[3])

    def _waits(self, _: int, number: int, task: str) -> bool:
        held = self._tasks.get(task)
        return held is not None and held[0] == number
