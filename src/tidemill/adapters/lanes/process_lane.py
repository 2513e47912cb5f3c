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
from tidemill.adapters.lanes.resource_shares import ResourceShares
from tidemill.adapters.lanes.task_queue import TaskQueue
from tidemill.adapters.lanes.worker_pool import PoolLimits, WorkerPool
from tidemill.adapters.lanes.worker_process import DEVICES_VARIABLE
from tidemill.adapters.lanes.worker_protocol import call_message
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Capacity, Fate, Task, TaskEvent, TaskMeter, WorkerClass


class ProcessLane:
    """Run tasks in up to `max_workers` processes, using up to `cpus` at once; a context manager.

    `idle_s`: seconds a worker may be idle before its process ends. `gpus`: the number of devices; if
    CUDA_VISIBLE_DEVICES is set, they are the first ones it names. `memory`: the limit in bytes for the sum
    of the running tasks' memory caps (0 is no limit); a task with a larger cap runs alone. `classes`: how
    each worker class shares the machine. `output`: the folder for the workers' output, one file per
    process id; without it, or if it isn't writable, workers write to this process's output. `meter`: is told
    what tasks use while they run, and says which have to end; where /proc shows no CPU times, only how long.

    Memory caps are enforced only where /proc shows a process's memory, so not on macOS. Child processes of
    a task end with its worker, and their memory isn't counted. UsageError for a lane without workers.
    """

    def __init__(  # noqa: PLR0913 - the limits of a lane
        self,
        *,
        max_workers: int | None = None,
        cpus: float | None = None,
        idle_s: float = 1.0,
        gpus: int = 0,
        memory: int = 0,
        classes: Mapping[str, WorkerClass] | None = None,
        output: Path | None = None,
        meter: TaskMeter | None = None,
    ) -> None:
        self._max_workers = (os.cpu_count() or 1) if max_workers is None else max_workers
        if self._max_workers < 1 or idle_s < 0:
            raise UsageError(
                f"a lane of {plural(self._max_workers, 'worker')}, idle for {idle_s} s, does nothing"
            )
        room = float(self._max_workers if cpus is None else cpus)
        if not room > 0 or memory < 0:
            raise UsageError(f"a lane of {room:g} CPUs and {memory} bytes does nothing")
        terms = PoolLimits(
            max_workers=self._max_workers,
            idle_s=idle_s,
            devices=_device_names(gpus),
            classes=dict(classes or {}),
            output=None if output is None else output.absolute(),
            meter=meter,
        )
        shares = ResourceShares(
            workers=self._max_workers, cpus=room, memory=memory, gpus=gpus, classes=terms.classes
        )
        self._events = EventBuffer()
        # The lock guards everything below.
        self._lock = self._events.lock
        self._gpus = gpus
        self._queue = TaskQueue(shares.deferrable)
        self._is_closing = self._wake_pending = False
        self._selector = selectors.DefaultSelector()
        self._pool = WorkerPool(terms, shares, self._queue, self._selector, self._events.put)
        self._wake_sender, self._wake_receiver = socketpair()
        for end in (self._wake_sender, self._wake_receiver):
            end.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._supervisor = threading.Thread(
            target=self._supervise, name="tidemill-lane", daemon=True
        )
        self._supervisor.start()

    def submit(self, task: Task) -> None:
        """Queue a task; a task whose id is already queued or running isn't run twice.

        UsageError when it needs more devices than exist, or can't be sent to a worker.
        """
        if task.gpus > self._gpus:
            raise UsageError(
                f"task {task.id}: gpus={task.gpus}, but there are only {self._gpus} devices; set their "
                "number with the setting gpus"
            )
        message = call_message(task)
        with self._lock:
            if self._is_closing:
                raise UsageError(f"task {task.id}: the lane is closed")
            if not self._events.register(task.id):
                return
            self._queue.put(task, message)
            self._pool.assign()
            if len(self._queue):
                self._wake_supervisor()

    def cancel(self, task: str) -> None:
        """Cancel a queued or running task; nothing happens when it is finished or unknown."""
        with self._lock:
            if not self._pool.drop_task(task, Fate.CANCELLED):
                self._pool.kill_task(task, Fate.CANCELLED)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Yield the events since the last call, waiting up to `timeout_s` seconds for the first."""
        yield from self._events.drain(timeout_s)

    def capacity(self) -> Capacity:
        """The current workers and tasks, and the worker seconds used since the lane was created."""
        with self._lock:
            held, busy = self._pool.worker_seconds
            return Capacity(
                live=len(self._pool.workers),
                busy=len(self._pool.busy_workers),
                waiting=len(self._queue),
                max_workers=self._max_workers,
                held_s=held,
                busy_s=busy,
            )

    def close(self, drain_s: float = 0.0) -> None:
        """Wait up to `drain_s` seconds for tasks to finish, cancel the rest, and end all workers.

        Events can still be read afterwards.
        """
        with self._lock:
            self._lock.wait_for(lambda: not len(self._queue) and self._pool.is_idle, drain_s)
            self._cancel_all()
            with suppress(OSError):
                self._wake_supervisor()
        self._supervisor.join()

    def _cancel_all(self) -> None:
        self._is_closing = True
        while (task := self._queue.peek()) is not None:
            self._pool.drop_task(task.id, Fate.CANCELLED)
        for worker in self._pool.busy_workers:
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

    def _wake_supervisor(self) -> None:
        """Wake the supervisor, unless a wake-up is already pending."""
        if not self._wake_pending:
            self._wake_sender.send(b"!")
            self._wake_pending = True

    def _supervise(self) -> None:
        try:
            while not self._supervise_once():
                continue
        finally:
            # Emit final events even if the supervisor itself failed, so that no caller waits forever.
            with self._lock:
                self._cancel_all()
                self._pool.kill_all()
                for held in (self._selector, self._wake_sender, self._wake_receiver):
                    held.close()

    def _supervise_once(self) -> bool:
        """Do what is due and wait for the next event; whether the lane is finished."""
        with self._lock:
            self._pool.maintain(closing=self._is_closing)
            if self._is_closing and self._pool.is_empty:
                return True
            pause = self._pool.seconds_to_next_check()
        # Not under the lock, so that callers can submit in the meantime.
        ready = self._selector.select(pause)
        with self._lock:
            for key, events in ready:
                if key.data is not None:
                    self._pool.handle_io(key.data, can_send=bool(events & selectors.EVENT_WRITE))
                else:
                    self._wake_pending = False
                    self._wake_receiver.recv(64)
        return False


def _device_names(gpus: int) -> tuple[str, ...]:
    """The names of the first `gpus` devices; UsageError when there are fewer."""
    visible = os.environ.get(DEVICES_VARIABLE)
    names = [str(number) for number in range(gpus)] if visible is None else visible.split(",")
    names = [name.strip() for name in names if name.strip()]
    if not 0 <= gpus <= len(names):
        raise UsageError(
            f"gpus={gpus}: {DEVICES_VARIABLE} names {plural(len(names), 'device')} ({visible})"
        )
    return tuple(names[:gpus])
