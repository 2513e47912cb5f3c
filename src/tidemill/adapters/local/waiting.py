"""Tasks that wait for a worker: the highest priority first, and of equals the one that came first."""

from __future__ import annotations

import time
from heapq import heappop, heappush
from itertools import count

from tidemill.domain.task import Task


class Waiting:
    """A queue from which any task can be taken back."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._tasks: dict[str, tuple[Task, float]] = {}
        self._order = count()

    def __len__(self) -> int:
        return len(self._tasks)

    def put(self, task: Task) -> None:
        """Let a task wait."""
        self._tasks[task.id] = (task, time.monotonic())
        heappush(self._heap, (-task.priority, next(self._order), task.id))

    def next(self) -> Task | None:
        """The task that is next, left where it is; None if none waits."""
        while self._heap and self._heap[0][2] not in self._tasks:
            heappop(self._heap)
        return self._tasks[self._heap[0][2]][0] if self._heap else None

    def take(self, task: str) -> tuple[Task, float] | None:
        """Take a task back, and how many seconds it waited; None if it doesn't wait."""
        held = self._tasks.pop(task, None)
        return (held[0], time.monotonic() - held[1]) if held else None
