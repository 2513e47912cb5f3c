"""Run tasks in threads of the caller's own process, for stages that use only Polars.

Polars releases the interpreter lock, and a thread costs less than a process. Limits that need another
process (timeouts, memory caps, devices) are rejected, not ignored. A running task can't be stopped.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from tidemill.adapters.lanes.event_buffer import EventBuffer
from tidemill.adapters.lanes.resource_shares import Round, Shares
from tidemill.adapters.lanes.task_call import made, placed
from tidemill.adapters.lanes.task_queue import Taken, Waiting, refuse_limits
from tidemill.adapters.lanes.wire import Call, told
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskError, TaskEvent, TaskFunctions


class Helpers:
    """Divide the CPU time of helper threads, such as Polars' pool, among the lane's busy threads.

    Nothing is divided on systems where a thread can't read another thread's clock.
    """

    def __init__(self) -> None:
        find = getattr(time, "pthread_getcpuclockid", None)
        self._find: Callable[[int], int] | None = find
        self._clocks: dict[threading.Thread, int] = {}
        self._known: dict[threading.Thread, float] = {}
        self._shares: dict[threading.Thread, float] = {}
        self._gone_s = 0.0
        self.join(threading.current_thread())
        self._spent_s = self._spent()

    def join(self, thread: threading.Thread) -> None:
        """Register the calling thread, whose own CPU time isn't divided."""
        if self._find is not None:
            self._clocks[thread] = self._find(threading.get_ident())

    def leave(self, thread: threading.Thread) -> None:
        """Unregister the calling thread before it ends, and keep its CPU time."""
        self._clocks.pop(thread, None)
        self._known.pop(thread, None)
        self._gone_s += time.thread_time()
        self._shares.pop(thread, None)

    def share(self, busy: Collection[threading.Thread]) -> None:
        """Divide the helpers' CPU time since the last call equally among the busy threads."""
        before, self._spent_s = self._spent_s, self._spent()
        for thread in busy:
            share = max(0.0, self._spent_s - before) / len(busy)
            self._shares[thread] = self._shares.get(thread, 0.0) + share

    def of(self, thread: threading.Thread) -> float:
        """The helpers' CPU seconds attributed to a thread so far."""
        return self._shares.get(thread, 0.0)

    def _spent(self) -> float:
        if self._find is None:
            return 0.0
        for thread, clock in self._clocks.items():
            # The thread that created the lane may have ended.
            with suppress(OSError):
                self._known[thread] = time.clock_gettime(clock)
        return time.process_time() - self._gone_s - sum(self._known.values())


class ThreadLane:
    """Run tasks in up to `max_workers` threads, with one CPU each; a context manager.

    Threads start with the first tasks and end after `idle_s` idle seconds. A task's `cpu_s` is its own
    thread's CPU time plus an equal share of that of helper threads, such as Polars' pool, without the
    thread that created the lane. Peak memory isn't measured. Worker classes have no effect, because threads
    share everything. Tasks call `functions` by their names; other functions are imported. UsageError for a
    lane without threads.
    """

    def __init__(
        self,
        *,
        max_workers: int | None = None,
        idle_s: float = 1.0,
        functions: TaskFunctions | None = None,
    ) -> None:
        self._max = (os.cpu_count() or 1) if max_workers is None else max_workers
        if self._max < 1 or idle_s < 0:
            raise UsageError(f"a lane of {self._max} threads, idle for {idle_s} s, does nothing")
        self._idle_s = idle_s
        self._functions: dict[str, Callable[..., Any]] = {**(functions or {})}
        self._events = EventBuffer()
        # The lock guards everything below.
        self._lock = self._events.lock
        self._waiting = Waiting()
        self._shares = Shares(workers=self._max, cpus=self._max)
        # When each thread started, and when each busy thread took its task (monotonic).
        self._threads: dict[threading.Thread, float] = {}
        self._busy: dict[threading.Thread, float] = {}
        self._held_s = self._busy_s = 0.0
        self._closing = False
        self._helpers = Helpers()

    def submit(self, task: Task) -> None:
        """Queue a task; a task whose id is already queued or running isn't run twice."""
        refuse_limits(task)
        with self._lock:
            if self._closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if not self._events.register(task.id):
                return
            self._waiting.put(task)
            idle = len(self._threads) - len(self._busy)
            if len(self._waiting) > idle and len(self._threads) < self._max:
                self._start()
            self._lock.notify_all()

    def cancel(self, task: str) -> None:
        """Cancel a queued task; a running one continues and emits its event when it finishes."""
        with self._lock:
            self._drop(task, Fate.CANCELLED)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Yield the events since the last call, waiting up to `timeout_s` seconds for the first."""
        yield from self._events.drain(timeout_s)

    def capacity(self) -> Capacity:
        """The current threads and tasks, and the worker seconds used since the lane was created."""
        with self._lock:
            now = time.monotonic()
            return Capacity(
                live=len(self._threads),
                busy=len(self._busy),
                waiting=len(self._waiting),
                max_workers=self._max,
                held_s=self._held_s + sum(now - begun for begun in self._threads.values()),
                busy_s=self._busy_s + sum(now - begun for begun in self._busy.values()),
            )

    def close(self, drain_s: float = 0.0) -> None:
        """Wait up to `drain_s` seconds for tasks to finish, cancel queued ones, and join the threads."""
        with self._lock:
            self._lock.wait_for(lambda: not (len(self._waiting) or self._busy), drain_s)
            self._closing = True
            while (task := self._waiting.next()) is not None:
                self.cancel(task.id)
            self._lock.notify_all()
            threads = [*self._threads]
        for thread in threads:
            thread.join()

    def __enter__(self) -> ThreadLane:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="tidemill-task", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Existing threads will run the queue; without any, nobody would.
            if not self._threads:
                while (task := self._waiting.next()) is not None:
                    self._drop(
                        task.id, Fate.LOST, TaskError(type="WorkerStart", message=str(error))
                    )
        else:
            # The new thread is waiting for the lock.
            self._threads[thread] = time.monotonic()

    def _work(self) -> None:
        """Run one task after another, until none arrived for `idle_s` seconds."""
        thread = threading.current_thread()
        with self._lock:
            self._helpers.join(thread)
            while (taken := self._next()) is not None:
                self._helpers.share(self._busy)
                self._busy[thread] = time.monotonic()
                self._make(taken)
                self._busy_s += time.monotonic() - self._busy.pop(thread)
            self._held_s += time.monotonic() - self._threads.pop(thread)
            self._helpers.leave(thread)
            self._lock.notify_all()

    def _clock(self) -> float:
        """CPU seconds of this thread and its share of the helpers."""
        with self._lock:
            self._helpers.share(self._busy)
            return time.thread_time() + self._helpers.of(threading.current_thread())

    def _next(self) -> Taken | None:
        """Wait for the next task that there is room for; None after `idle_s` seconds without one."""
        end = time.monotonic() + self._idle_s
        while True:
            task = self._waiting.next()
            if task is not None and not Round(self._shares).lacks(task):
                return self._waiting.take(task.id)
            left = end - time.monotonic()
            # A task that waits for room will need this thread, so stay.
            if self._closing or (left <= 0 and task is None):
                return None
            self._lock.wait(max(left, 0.0) if task is None else None)

    def _make(self, taken: Taken) -> None:
        task, queued_s = taken.task, taken.queued_s
        worker = f"{os.getpid()}/{threading.get_native_id()}"
        self._shares.take(task)
        self._events.put(
            TaskEvent(
                task=task.id, fate=Fate.STARTED, worker=worker, at=time.time(), queued_s=queued_s
            )
        )
        call = Call(task.id, task.function, task.params, task.inputs, task.output)
        self._lock.release()
        try:
            answer = placed(made(call, self._functions, self._clock), task)
        finally:
            self._lock.acquire()
            self._shares.give(task)
        self._events.put(told(answer, worker=worker, queued_s=queued_s))

    def _drop(self, task: str, fate: Fate, error: TaskError | None = None) -> None:
        taken = self._waiting.take(task)
        if taken is not None:
            queued_s = taken.queued_s
            self._events.put(
                TaskEvent(
                    task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=queued_s
                )
            )
