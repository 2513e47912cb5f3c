"""Run tasks in a pool of worker processes that grows with the queue and shrinks to zero.

A supervisor thread starts workers while tasks wait, sends each idle worker the next task, kills workers
that exceed their time or memory limit, ends workers that were idle for `idle_s`, and emits exactly one
final event per task. Nothing is retried here. A worker that dies loses only its own task.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from socket import socketpair
from types import TracebackType

from tidemill.adapters.lanes.event_buffer import EventBuffer
from tidemill.adapters.lanes.resource_shares import Shares
from tidemill.adapters.lanes.task_queue import Waiting
from tidemill.adapters.lanes.wire import sent
from tidemill.adapters.lanes.worker_pool import Crew, Terms
from tidemill.adapters.lanes.worker_process import DEVICES
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, WorkerClass


class ProcessLane:
    """Run tasks in up to `max_workers` processes, using up to `cpus` at once; a context manager.

    `idle_s`: seconds a worker may be idle before its process ends. `gpus`: the number of devices; if
    CUDA_VISIBLE_DEVICES is set, they are the first ones it names. `memory`: the limit in bytes for the sum
    of the running tasks' memory caps (0 is no limit); a task with a larger cap runs alone. `classes`: how
    each worker class shares the machine. `output`: the folder for the workers' output, one file per
    process id; without it, or if it isn't writable, workers write to this process's output.

    Memory caps are enforced only where /proc shows a process's memory, so not on macOS. Child processes of
    a task end with its worker, and their memory isn't counted. UsageError for a lane without workers.
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
        self._events = EventBuffer()
        # The lock guards everything below.
        self._lock = self._events.lock
        self._gpus = gpus
        self._waiting = Waiting(shares.later)
        self._closing = self._rung = False
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(terms, shares, self._waiting, self._selector, self._events.put)
        self._bell, self._ear = socketpair()
        for end in (self._bell, self._ear):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._supervise, name="tidemill-lane", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Queue a task; a task whose id is already queued or running isn't run twice.

        UsageError when it needs more devices than exist, or can't be sent to a worker.
        """
        if task.gpus > self._gpus:
            raise UsageError(
                f"task {task.id}: gpus={task.gpus}, but there are only {self._gpus} devices; set their "
                "number with the setting gpus"
            )
        message = sent(task)
        with self._lock:
            if self._closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if not self._events.register(task.id):
                return
            self._waiting.put(task, message)
            self._crew.assign()
            if len(self._waiting):
                self._ring()

    def cancel(self, task: str) -> None:
        """Cancel a queued or running task; nothing happens when it is finished or unknown."""
        with self._lock:
            if not self._crew.drop(task, Fate.CANCELLED):
                self._crew.kill(task, Fate.CANCELLED)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Yield the events since the last call, waiting up to `timeout_s` seconds for the first."""
        yield from self._events.drain(timeout_s)

    def capacity(self) -> Capacity:
        """The current workers and tasks, and the worker seconds used since the lane was created."""
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
        """Wait up to `drain_s` seconds for tasks to finish, cancel the rest, and end all workers.

        Events can still be read afterwards.
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

    def _ring(self) -> None:
        """Wake the supervisor, unless a wake-up is already pending."""
        if not self._rung:
            self._bell.send(b"!")
            self._rung = True

    def _supervise(self) -> None:
        try:
            while not self._look():
                continue
        finally:
            # Emit final events even if the supervisor itself failed, so that no caller waits forever.
            with self._lock:
                self._end()
                self._crew.abandon()
                for held in (self._selector, self._bell, self._ear):
                    held.close()

    def _look(self) -> bool:
        """Do what is due and wait for the next event; whether the lane is finished."""
        with self._lock:
            self._crew.look_after(closing=self._closing)
            if self._closing and self._crew.gone:
                return True
            pause = self._crew.pause()
        # Not under the lock, so that callers can submit in the meantime.
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
    """The names of the first `gpus` devices; UsageError when there are fewer."""
    visible = os.environ.get(DEVICES)
    names = [str(number) for number in range(gpus)] if visible is None else visible.split(",")
    names = [name.strip() for name in names if name.strip()]
    if not 0 <= gpus <= len(names):
        raise UsageError(f"gpus={gpus}: {DEVICES} names {len(names)} devices ({visible})")
    return tuple(names[:gpus])
