"""Tasks in the caller's own process and thread, one by one: for tests, and where breakpoints must work.

Nothing runs until its events are asked for. What only another process can do (a timeout, a memory cap,
surviving a crash) isn't done here, and is refused rather than passed over.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tidemill.adapters.lanes.task_call import made, placed
from tidemill.adapters.lanes.task_queue import Waiting, refuse_limits
from tidemill.adapters.lanes.wire import Call, told
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, TaskFunctions


class Inline:
    """An engine without processes; `max_workers` is one, and it is busy only while it is asked."""

    def __init__(self, functions: TaskFunctions | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {**(functions or {})}
        self._waiting = Waiting()
        self._events: deque[TaskEvent] = deque()
        self._known: set[str] = set()
        self._closed = False
        self._busy_s = 0.0

    def submit(self, task: Task) -> None:
        """Let a task wait until events are asked for; one whose id is at work already isn't run twice."""
        if self._closed:
            raise UsageError(f"task {task.id}: the engine is closed")
        refuse_limits(task)
        if task.id not in self._known:
            self._known.add(task.id)
            self._waiting.put(task)

    def cancel(self, task: str) -> None:
        """Give up a task that waits."""
        if self._waiting.take(task) is not None:
            self._tell(TaskEvent(task=task, fate=Fate.CANCELLED, worker=_NAME, at=time.time()))

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """What became of tasks; the next one that waits is run first, however long that takes."""
        if not self._events:
            self._run()
        found = [*self._events]
        self._events.clear()
        self._known.difference_update(e.task for e in found if e.fate is not Fate.STARTED)
        yield from found

    def capacity(self) -> Capacity:
        """Nothing is held between two tasks."""
        return Capacity(
            live=0,
            busy=0,
            waiting=len(self._waiting),
            max_workers=1,
            held_s=self._busy_s,
            busy_s=self._busy_s,
        )

    def close(self, drain_s: float = 0.0) -> None:
        """Run what waits for as long as there is time, and cancel the rest."""
        end = time.monotonic() + drain_s
        while time.monotonic() < end and self._run():
            continue
        self._closed = True
        while (task := self._waiting.next()) is not None:
            self.cancel(task.id)

    def _run(self) -> bool:
        task = self._waiting.next()
        taken = None if task is None else self._waiting.take(task.id)
        if task is None or taken is None:
            return False
        begun = time.time()
        self._tell(
            TaskEvent(
                task=task.id, fate=Fate.STARTED, worker=_NAME, at=begun, queued_s=taken.queued_s
            )
        )
        call = Call(task.id, task.function, task.params, task.inputs, task.output)
        answer = placed(made(call, self._functions), task)
        self._busy_s += answer.wall_s
        self._tell(told(answer, worker=_NAME, queued_s=taken.queued_s))
        return True

    def _tell(self, event: TaskEvent) -> None:
        self._events.append(event)


_NAME = str(os.getpid())
