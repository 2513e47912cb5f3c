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
from tidemill.adapters.lanes.resource_shares import AllocationRound, ResourceShares
from tidemill.adapters.lanes.task_call import call_task, move_output
from tidemill.adapters.lanes.task_queue import QueuedTask, TaskQueue, reject_limits
from tidemill.adapters.lanes.worker_protocol import TaskCall, task_event
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskError, TaskEvent, TaskFunctions


class HelperCpuTime:
    """Divide the CPU time of helper threads, such as Polars' pool, among the lane's busy threads.

    Nothing is divided on systems where a thread can't read another thread's clock.
    """

    def __init__(self) -> None:
        find = getattr(time, "pthread_getcpuclockid", None)
        self._clock_of: Callable[[int], int] | None = find
        self._clocks: dict[threading.Thread, int] = {}
        self._thread_times: dict[threading.Thread, float] = {}
        self._shares: dict[threading.Thread, float] = {}
        self._ended_s = 0.0
        self.register(threading.current_thread())
        self._helper_s = self._measure()

    def register(self, thread: threading.Thread) -> None:
        """Register the calling thread, whose own CPU time isn't divided."""
        if self._clock_of is not None:
            self._clocks[thread] = self._clock_of(threading.get_ident())

    def unregister(self, thread: threading.Thread) -> None:
        """Unregister the calling thread before it ends, and keep its CPU time."""
        self._clocks.pop(thread, None)
        self._thread_times.pop(thread, None)
        self._ended_s += time.thread_time()
        self._shares.pop(thread, None)

    def divide(self, busy: Collection[threading.Thread]) -> None:
        """Divide the helpers' CPU time since the last call equally among the busy threads."""
        before, self._helper_s = self._helper_s, self._measure()
        for thread in busy:
            share = max(0.0, self._helper_s - before) / len(busy)
            self._shares[thread] = self._shares.get(thread, 0.0) + share

    def share_of(self, thread: threading.Thread) -> float:
        """The helpers' CPU seconds attributed to a thread so far."""
        return self._shares.get(thread, 0.0)

    def _measure(self) -> float:
        if self._clock_of is None:
            return 0.0
        for thread, clock in self._clocks.items():
            # The thread that created the lane may have ended.
            with suppress(OSError):
                self._thread_times[thread] = time.clock_gettime(clock)
        return time.process_time() - self._ended_s - sum(self._thread_times.values())


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
        self._max_workers = (os.cpu_count() or 1) if max_workers is None else max_workers
        if self._max_workers < 1 or idle_s < 0:
            raise UsageError(
                f"a lane of {self._max_workers} threads, idle for {idle_s} s, does nothing"
            )
        self._idle_s = idle_s
        self._functions: dict[str, Callable[..., Any]] = {**(functions or {})}
        self._events = EventBuffer()
        # The lock guards everything below.
        self._lock = self._events.lock
        self._queue = TaskQueue()
        self._shares = ResourceShares(workers=self._max_workers, cpus=self._max_workers)
        # When each thread started, and when each busy thread took its task (monotonic).
        self._threads: dict[threading.Thread, float] = {}
        self._busy: dict[threading.Thread, float] = {}
        self._held_s = self._busy_s = 0.0
        self._is_closing = False
        self._helper_time = HelperCpuTime()

    def submit(self, task: Task) -> None:
        """Queue a task; a task whose id is already queued or running isn't run twice."""
        reject_limits(task)
        with self._lock:
            if self._is_closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if not self._events.register(task.id):
                return
            self._queue.put(task)
            idle = len(self._threads) - len(self._busy)
            if len(self._queue) > idle and len(self._threads) < self._max_workers:
                self._start_thread()
            self._lock.notify_all()

    def cancel(self, task: str) -> None:
        """Cancel a queued task; a running one continues and emits its event when it finishes."""
        with self._lock:
            self._drop_task(task, Fate.CANCELLED)

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
                waiting=len(self._queue),
                max_workers=self._max_workers,
                held_s=self._held_s + sum(now - begun for begun in self._threads.values()),
                busy_s=self._busy_s + sum(now - begun for begun in self._busy.values()),
            )

    def close(self, drain_s: float = 0.0) -> None:
        """Wait up to `drain_s` seconds for tasks to finish, cancel queued ones, and join the threads."""
        with self._lock:
            self._lock.wait_for(lambda: not (len(self._queue) or self._busy), drain_s)
            self._is_closing = True
            while (task := self._queue.peek()) is not None:
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

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run_worker, name="tidemill-task", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Existing threads will run the queue; without any, nobody would.
            if not self._threads:
                while (task := self._queue.peek()) is not None:
                    self._drop_task(
                        task.id, Fate.LOST, TaskError(type="WorkerStart", message=str(error))
                    )
        else:
            # The new thread is waiting for the lock.
            self._threads[thread] = time.monotonic()

    def _run_worker(self) -> None:
        """Run one task after another, until none arrived for `idle_s` seconds."""
        thread = threading.current_thread()
        with self._lock:
            self._helper_time.register(thread)
            while (taken := self._wait_for_task()) is not None:
                self._helper_time.divide(self._busy)
                self._busy[thread] = time.monotonic()
                self._run_task(taken)
                self._busy_s += time.monotonic() - self._busy.pop(thread)
            self._held_s += time.monotonic() - self._threads.pop(thread)
            self._helper_time.unregister(thread)
            self._lock.notify_all()

    def _cpu_seconds(self) -> float:
        """CPU seconds of this thread and its share of the helpers."""
        with self._lock:
            self._helper_time.divide(self._busy)
            return time.thread_time() + self._helper_time.share_of(threading.current_thread())

    def _wait_for_task(self) -> QueuedTask | None:
        """Wait for the next task that there is room for; None after `idle_s` seconds without one."""
        end = time.monotonic() + self._idle_s
        while True:
            task = self._queue.peek()
            if task is not None and not AllocationRound(self._shares).shortages(task):
                return self._queue.take(task.id)
            left = end - time.monotonic()
            # A task that waits for room will need this thread, so stay.
            if self._is_closing or (left <= 0 and task is None):
                return None
            self._lock.wait(max(left, 0.0) if task is None else None)

    def _run_task(self, taken: QueuedTask) -> None:
        task, queued_s = taken.task, taken.queued_s
        worker = f"{os.getpid()}/{threading.get_native_id()}"
        self._shares.allocate(task)
        self._events.put(
            TaskEvent(
                task=task.id, fate=Fate.STARTED, worker=worker, at=time.time(), queued_s=queued_s
            )
        )
        call = TaskCall(task.id, task.function, task.params, task.inputs, task.output)
        self._lock.release()
        try:
            answer = move_output(call_task(call, self._functions, self._cpu_seconds), task)
        finally:
            self._lock.acquire()
            self._shares.release(task)
        self._events.put(task_event(answer, worker=worker, queued_s=queued_s))

    def _drop_task(self, task: str, fate: Fate, error: TaskError | None = None) -> None:
        taken = self._queue.take(task)
        if taken is not None:
            queued_s = taken.queued_s
            self._events.put(
                TaskEvent(
                    task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=queued_s
                )
            )
