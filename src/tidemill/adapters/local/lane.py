"""A lane of worker processes that grows with what waits and shrinks to nothing.

One thread supervises: it starts workers while tasks wait, hands each idle worker the next task, kills
what takes too long or holds too much, ends workers that were idle for `idle_s`, and tells the fate of
every task exactly once. Nothing is ever retried here. A worker that dies takes its one task along.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from socket import socketpair
from types import TracebackType

from tidemill.adapters.local.crew import Crew
from tidemill.adapters.local.waiting import Waiting
from tidemill.domain.errors import UsageError
from tidemill.domain.task import Capacity, Fate, Task, TaskEvent


class ProcessLane:
    """Tasks in up to `max_workers` processes and `cpus` at once; close it, or use it in a `with`.

    `idle_s`: how long a worker may be idle before its process ends. UsageError for no workers at all.
    """

    def __init__(
        self, *, max_workers: int | None = None, cpus: float | None = None, idle_s: float = 1.0
    ) -> None:
        self._max = (os.cpu_count() or 1) if max_workers is None else max_workers
        if self._max < 1 or idle_s < 0:
            raise UsageError(f"a lane of {self._max} workers, idle for {idle_s} s, does nothing")
        # All that follows is guarded by the lock.
        self._lock = threading.Condition()
        self._waiting = Waiting()
        self._events: deque[TaskEvent] = deque()
        self._known: set[str] = set()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(
            self._waiting,
            self._selector,
            self._tell,
            most=self._max,
            cpus=float(self._max if cpus is None else cpus),
            idle_s=idle_s,
        )
        self._bell, self._ear = socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        # Workers are started by this thread only: Linux ends them when the thread ends that did.
        self._thread = threading.Thread(target=self._supervise, name="tidemill-lane", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Let a task run as soon as it can; one whose id is at work already is not run twice."""
        with self._lock:
            if self._closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if task.id in self._known:
                return
            self._known.add(task.id)
            self._waiting.put(task)
            self._crew.assign()
            if len(self._waiting):
                self._ring()

    def cancel(self, task: str) -> None:
        """End a task wherever it is; nothing happens when it is done, or isn't known."""
        with self._lock:
            if not self._crew.drop(task, Fate.CANCELLED):
                self._crew.kill(task, Fate.CANCELLED)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """What became of tasks since it was asked last; waits for the first of it for so many seconds."""
        with self._lock:
            self._lock.wait_for(lambda: self._events, timeout_s)
            found = [*self._events]
            self._events.clear()
            # Only now may a task of the same id run anew.
            self._known.difference_update(e.task for e in found if e.fate is not Fate.STARTED)
        yield from found

    def capacity(self) -> Capacity:
        """What the lane holds now, and what it held since it was made."""
        with self._lock:
            held, busy = self._crew.spent
            return Capacity(
                live=len(self._crew.workers),
                busy=len(self._crew.busy),
                waiting=len(self._waiting),
                max_workers=self._max,
                held_s=held,
                busy_s=busy,
            )

    def close(self, drain_s: float = 0.0) -> None:
        """End all workers, after waiting for what runs or waits for at most `drain_s` seconds.

        What isn't done by then is cancelled; its events can still be read.
        """
        with self._lock:
            self._lock.wait_for(lambda: not (len(self._waiting) or self._crew.busy), drain_s)
            self._closing = True
            while (task := self._waiting.next()) is not None:
                self._crew.drop(task.id, Fate.CANCELLED)
            for worker in self._crew.busy:
                worker.kill(Fate.CANCELLED)
            with suppress(OSError):
                self._ring()
        self._thread.join()

    def __enter__(self) -> ProcessLane:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tell(self, event: TaskEvent) -> None:
        self._events.append(event)
        self._lock.notify_all()

    def _ring(self) -> None:
        """Wake the supervisor; a bell that is full of rings was heard."""
        with suppress(BlockingIOError):
            self._bell.send(b"!")

    def _supervise(self) -> None:
        while True:
            with self._lock:
                self._crew.look_after(closing=self._closing)
                if self._closing and self._crew.gone:
                    break
                pause = self._crew.pause()
            # Whoever submits may do so meanwhile.
            ready = self._selector.select(pause)
            with self._lock:
                for key, _ in ready:
                    if key.data is not None:
                        self._crew.hear(key.data)
                    else:
                        with suppress(BlockingIOError):
                            self._ear.recv(4096)
        for held in (self._selector, self._bell, self._ear):
            held.close()
