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
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from socket import socketpair
from types import TracebackType

from tidemill.adapters.lanes.resource_shares import Shares
from tidemill.adapters.lanes.task_queue import Waiting
from tidemill.adapters.lanes.wire import sent
from tidemill.adapters.lanes.worker_pool import Crew, Terms
from tidemill.adapters.lanes.worker_process import DEVICES
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, WorkerClass


class ProcessLane:
    """Tasks in up to `max_workers` processes and `cpus` at once; close it, or use it in a `with`.

    `idle_s`: how long a worker may be idle before its process ends. `gpus`: how many devices there are,
    of those that CUDA_VISIBLE_DEVICES names if it is set. `memory` (bytes; 0 is no budget) is what the
    caps of tasks at work may add up to; one that alone wants more is at work alone. `classes` say how
    those of each worker class share the machine. All that the workers write goes into files of the folder
    `output`, named by their process ids; without it, or where it can't be written, where what this process
    writes goes.

    A memory cap is held to where /proc tells what a process holds: on macOS none is. What a task starts
    besides ends with its worker, and isn't counted to what it holds. UsageError for a lane that can do
    nothing.
    """

    def __init__(
        self,
        *,
        max_workers: int | None = None,
        cpus: float | None = None,
        idle_s: float = 1.0,
        gpus: int = 0,
        memory: int = 0,
        classes: Mapping[str, WorkerClass] | None = None,
        output: Path | None = None,
    ) -> None:
        self._max = (os.cpu_count() or 1) if max_workers is None else max_workers
        if self._max < 1 or idle_s < 0:
            raise UsageError(f"a lane of {self._max} workers, idle for {idle_s} s, does nothing")
        room = float(self._max if cpus is None else cpus)
        if not room > 0 or memory < 0:
            raise UsageError(f"a lane of {room:g} CPUs and {memory} bytes does nothing")
        terms = Terms(
            most=self._max,
            idle_s=idle_s,
            devices=_devices(gpus),
            classes=dict(classes or {}),
            output=None if output is None else output.absolute(),
        )
        shares = Shares(
            workers=self._max, cpus=room, memory=memory, gpus=gpus, classes=terms.classes
        )
        # All that follows is guarded by the lock.
        self._gpus = gpus
        self._lock = threading.Condition()
        self._waiting = Waiting(shares.later)
        self._events: deque[TaskEvent] = deque()
        self._known: set[str] = set()
        self._closing = self._rung = False
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(terms, shares, self._waiting, self._selector, self._tell)
        self._bell, self._ear = socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._supervise, name="tidemill-lane", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Let a task run as soon as it can; one whose id is at work already is not run twice.

        UsageError for one that wants more devices than there are, or that can't be sent to a worker.
        """
        if task.gpus > self._gpus:
            raise UsageError(
                f"task {task.id}: gpus={task.gpus}, and there are {self._gpus} devices; how many there are, "
                "the setting gpus says"
            )
        message = sent(task)
        with self._lock:
            if self._closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if task.id in self._known:
                return
            self._known.add(task.id)
            self._waiting.put(task, message)
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
            self._lock.wait_for(lambda: not len(self._waiting) and self._crew.done, drain_s)
            self._end()
            with suppress(OSError):
                self._ring()
        self._thread.join()

    def _end(self) -> None:
        self._closing = True
        while (task := self._waiting.next()) is not None:
            self._crew.drop(task.id, Fate.CANCELLED)
        for worker in self._crew.busy:
            worker.kill(Fate.CANCELLED)

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
        """Wake the supervisor, once until it has heard."""
        if not self._rung:
            self._bell.send(b"!")
            self._rung = True

    def _supervise(self) -> None:
        try:
            while not self._look():
                continue
        finally:
            # Also after a fault of the lane itself nobody waits for ever.
            with self._lock:
                self._end()
                self._crew.abandon()
                for held in (self._selector, self._bell, self._ear):
                    held.close()

    def _look(self) -> bool:
        """Do what is to be done now, and wait for what comes next; whether it was the last time."""
        with self._lock:
            self._crew.look_after(closing=self._closing)
            if self._closing and self._crew.gone:
                return True
            pause = self._crew.pause()
        # Whoever submits may do so meanwhile.
        ready = self._selector.select(pause)
        with self._lock:
            for key, events in ready:
                if key.data is not None:
                    self._crew.hear(key.data, can_send=bool(events & selectors.EVENT_WRITE))
                else:
                    self._rung = False
                    self._ear.recv(64)
        return False


def _devices(gpus: int) -> tuple[str, ...]:
    """The names of the devices that a lane has."""
    named = os.environ.get(DEVICES)
    names = [str(number) for number in range(gpus)] if named is None else named.split(",")
    names = [name.strip() for name in names if name.strip()]
    if not 0 <= gpus <= len(names):
        raise UsageError(f"gpus={gpus}: {DEVICES} names {len(names)} devices ({named})")
    return tuple(names[:gpus])
