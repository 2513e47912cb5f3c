"""Tasks in threads of the caller's own process: for stages that are Polars all through.

Such a stage computes outside the interpreter's lock, and a thread costs less than a process. What only
another process can do (a timeout, a memory cap, devices, surviving a crash) isn't done here, and is
refused rather than passed over. What is at work can't be ended: it goes on until it is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from tidemill.adapters.lanes.resource_shares import Round, Shares
from tidemill.adapters.lanes.task_call import made, placed
from tidemill.adapters.lanes.task_queue import Taken, Waiting, refuse_limits
from tidemill.adapters.lanes.wire import Call, told
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskError, TaskEvent, TaskFunctions


class Helpers:
    """The CPU time of threads that aren't the lane's, divided among those of the lane that are at work.

    Where a thread's clock can't be read by others nothing is divided.
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
        """What the thread that calls takes itself is known from now on."""
        if self._find is not None:
            self._clocks[thread] = self._find(threading.get_ident())

    def leave(self, thread: threading.Thread) -> None:
        """The thread that calls ends; what it took stays known."""
        self._clocks.pop(thread, None)
        self._known.pop(thread, None)
        self._gone_s += time.thread_time()
        self._shares.pop(thread, None)

    def share(self, busy: Collection[threading.Thread]) -> None:
        """Divide what was taken since the last time among those that were at work."""
        before, self._spent_s = self._spent_s, self._spent()
        for thread in busy:
            share = max(0.0, self._spent_s - before) / len(busy)
            self._shares[thread] = self._shares.get(thread, 0.0) + share

    def of(self, thread: threading.Thread) -> float:
        """What was its part so far."""
        return self._shares.get(thread, 0.0)

    def _spent(self) -> float:
        if self._find is None:
            return 0.0
        for thread, clock in self._clocks.items():
            # The one that made the lane may have ended.
            with suppress(OSError):
                self._known[thread] = time.clock_gettime(clock)
        return time.process_time() - self._gone_s - sum(self._known.values())


class ThreadLane:
    """Tasks in up to `max_workers` threads, of one CPU each; close it, or use it in a `with`.

    Threads begin when tasks come, and end when they were idle for `idle_s`. `cpu_s` of a task is what its
    own thread took, and an equal part of what other threads took meanwhile, as Polars' do; what the thread
    took that made the lane is left out. Its memory isn't told. Worker classes don't count: threads share
    everything. Tasks call `functions` by their names; others are imported. UsageError for no threads.
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
        # All that follows is guarded by the lock.
        self._lock = threading.Condition()
        self._waiting = Waiting()
        self._shares = Shares(workers=self._max, cpus=self._max)
        self._events: deque[TaskEvent] = deque()
        self._known: set[str] = set()
        # When each thread began, and when it took the task that it is at work on (monotonic).
        self._threads: dict[threading.Thread, float] = {}
        self._busy: dict[threading.Thread, float] = {}
        self._held_s = self._busy_s = 0.0
        self._closing = False
        self._helpers = Helpers()

    def submit(self, task: Task) -> None:
        """Let a task run as soon as it can; one whose id is at work already is not run twice."""
        refuse_limits(task)
        with self._lock:
            if self._closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if task.id in self._known:
                return
            self._known.add(task.id)
            self._waiting.put(task)
            idle = len(self._threads) - len(self._busy)
            if len(self._waiting) > idle and len(self._threads) < self._max:
                self._start()
            self._lock.notify_all()

    def cancel(self, task: str) -> None:
        """Give up a task that waits; one at work goes on, and its fate is told when it is done."""
        with self._lock:
            self._drop(task, Fate.CANCELLED)

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
        """Cancel what still waits after `drain_s` seconds, and wait until what is at work is done."""
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
            # Those that there are do what waits; without any, nobody would.
            if not self._threads:
                while (task := self._waiting.next()) is not None:
                    self._drop(
                        task.id, Fate.LOST, TaskError(type="WorkerStart", message=str(error))
                    )
        else:
            # It waits for the lock.
            self._threads[thread] = time.monotonic()

    def _work(self) -> None:
        """Take one task after the other, until there was none for `idle_s`."""
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
        """CPU seconds of this thread, and of its helpers."""
        with self._lock:
            self._helpers.share(self._busy)
            return time.thread_time() + self._helpers.of(threading.current_thread())

    def _next(self) -> Taken | None:
        """The next task that there is room for; None if none comes for too long."""
        end = time.monotonic() + self._idle_s
        while True:
            task = self._waiting.next()
            if task is not None and not Round(self._shares).lacks(task):
                return self._waiting.take(task.id)
            left = end - time.monotonic()
            # One that waits for room needs a thread when there is.
            if self._closing or (left <= 0 and task is None):
                return None
            self._lock.wait(max(left, 0.0) if task is None else None)

    def _make(self, taken: Taken) -> None:
        task, queued_s = taken.task, taken.queued_s
        worker = f"{os.getpid()}/{threading.get_native_id()}"
        self._shares.take(task)
        self._tell(
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
        self._tell(told(answer, worker=worker, queued_s=queued_s))

    def _drop(self, task: str, fate: Fate, error: TaskError | None = None) -> None:
        taken = self._waiting.take(task)
        if taken is not None:
            queued_s = taken.queued_s
            self._tell(
                TaskEvent(
                    task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=queued_s
                )
            )

    def _tell(self, event: TaskEvent) -> None:
        self._events.append(event)
        self._lock.notify_all()
