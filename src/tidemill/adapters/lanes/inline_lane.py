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
from tidemill.adapters.lanes.task_call import call_task, move_output
from tidemill.adapters.lanes.task_queue import TaskQueue, reject_limits
from tidemill.adapters.lanes.worker_protocol import TaskCall, task_event
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, TaskFunctions


class InlineLane:
    """Run tasks in the calling thread, while `events` is called."""

    def __init__(self, functions: TaskFunctions | None = None) -> None:
        self._functions: dict[str, Callable[..., Any]] = {**(functions or {})}
        self._queue = TaskQueue()
        self._events = EventBuffer()
        self._is_closed = False
        self._busy_s = 0.0

    def submit(self, task: Task) -> None:
        """Queue a task until events are requested; a task whose id is already queued isn't run twice."""
        if self._is_closed:
            raise UsageError(f"task {task.id}: the lane is closed")
        reject_limits(task)
        if self._events.register(task.id):
            self._queue.put(task)

    def cancel(self, task: str) -> None:
        """Cancel a queued task."""
        if self._queue.take(task) is not None:
            cancelled = TaskEvent(task=task, fate=Fate.CANCELLED, worker=_WORKER, at=time.time())
            self._events.put(cancelled)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Run the next queued task, however long it takes, and yield the events."""
        events = self._events.drain(0.0)
        if not events:
            self._run_next()
            events = self._events.drain(0.0)
        yield from events

    def capacity(self) -> Capacity:
        """The worker seconds used so far; nothing is held between tasks."""
        return Capacity(
            live=0,
            busy=0,
            waiting=len(self._queue),
            max_workers=1,
            held_s=self._busy_s,
            busy_s=self._busy_s,
        )

    def close(self, drain_s: float = 0.0) -> None:
        """Run queued tasks for up to `drain_s` seconds, then cancel the rest."""
        end = time.monotonic() + drain_s
        while time.monotonic() < end and self._run_next():
            continue
        self._is_closed = True
        while (task := self._queue.peek()) is not None:
            self.cancel(task.id)

    def _run_next(self) -> bool:
        task = self._queue.peek()
        taken = None if task is None else self._queue.take(task.id)
        if task is None or taken is None:
            return False
        begun = time.time()
        self._events.put(
            TaskEvent(
                task=task.id, fate=Fate.STARTED, worker=_WORKER, at=begun, queued_s=taken.queued_s
            )
        )
        call = TaskCall(task.id, task.function, task.params, task.inputs, task.output)
        answer = move_output(call_task(call, self._functions), task)
        self._busy_s += answer.wall_s
        self._events.put(task_event(answer, worker=_WORKER, queued_s=taken.queued_s))
        return True


_WORKER = str(os.getpid())
