"""Run tasks one by one in the caller's own thread, for tests and for debugging with breakpoints.

A task runs when events are requested. Limits that need another process (timeouts, memory caps, devices)
are rejected, not ignored.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from tidemill.adapters.lanes.event_buffer import EventBuffer
from tidemill.adapters.lanes.task_call import made, placed
from tidemill.adapters.lanes.task_queue import Waiting, refuse_limits
from tidemill.adapters.lanes.wire import Call, told
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, TaskFunctions


class Inline:
    """Run tasks in the calling thread, while `events` is called."""

    def __init__(self, functions: TaskFunctions | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {**(functions or {})}
        self._waiting = Waiting()
        self._events = EventBuffer()
        self._closed = False
        self._busy_s = 0.0

    def submit(self, task: Task) -> None:
        """Queue a task until events are requested; a task whose id is already queued isn't run twice."""
        if self._closed:
            raise UsageError(f"task {task.id}: the lane is closed")
        refuse_limits(task)
        if self._events.register(task.id):
            self._waiting.put(task)

    def cancel(self, task: str) -> None:
        """Cancel a queued task."""
        if self._waiting.take(task) is not None:
            cancelled = TaskEvent(task=task, fate=Fate.CANCELLED, worker=_NAME, at=time.time())
            self._events.put(cancelled)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Run the next queued task, however long it takes, and yield the events."""
        events = self._events.drain(0.0)
        if not events:
            self._run()
            events = self._events.drain(0.0)
        yield from events

    def capacity(self) -> Capacity:
        """The worker seconds used so far; nothing is held between tasks."""
        return Capacity(
            live=0,
            busy=0,
            waiting=len(self._waiting),
            max_workers=1,
            held_s=self._busy_s,
            busy_s=self._busy_s,
        )

    def close(self, drain_s: float = 0.0) -> None:
        """Run queued tasks for up to `drain_s` seconds, then cancel the rest."""
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
        self._events.put(
            TaskEvent(
                task=task.id, fate=Fate.STARTED, worker=_NAME, at=begun, queued_s=taken.queued_s
            )
        )
        call = Call(task.id, task.function, task.params, task.inputs, task.output)
        answer = placed(made(call, self._functions), task)
        self._busy_s += answer.wall_s
        self._events.put(told(answer, worker=_NAME, queued_s=taken.queued_s))
        return True


_NAME = str(os.getpid())
