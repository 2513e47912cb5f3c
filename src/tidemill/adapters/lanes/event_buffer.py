"""Collect a lane's events until its caller reads them."""

from __future__ import annotations

import threading
from collections import deque

from tidemill.ports.execution import Fate, TaskEvent


class EventBuffer:
    """Unread events, and the ids of tasks whose final event is unread; `lock` guards both."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._events: deque[TaskEvent] = deque()
        self._task_ids: set[str] = set()

    def register(self, task: str) -> bool:
        """Register a task's id; False if a task with this id has no final event that was read."""
        with self.lock:
            is_new = task not in self._task_ids
            self._task_ids.add(task)
        return is_new

    def put(self, event: TaskEvent) -> None:
        """Add an event and wake all threads that wait for the lock's condition."""
        with self.lock:
            self._events.append(event)
            self.lock.notify_all()

    def drain(self, timeout_s: float) -> list[TaskEvent]:
        """Remove and return all events, waiting up to `timeout_s` seconds for the first."""
        with self.lock:
            self.lock.wait_for(lambda: self._events, timeout_s)
            events = [*self._events]
            self._events.clear()
            # Only now may a task with the same id run again.
            ended = (event.task for event in events if event.fate is not Fate.STARTED)
            self._task_ids.difference_update(ended)
        return events
