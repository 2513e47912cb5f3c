"""Run tasks on a cluster: it places workers, which run tasks in process lanes of Tidemill.

A worker holds a share of a node and runs many tasks. The queue is here; a worker gets a task when it has room
for it, and some more in advance where tasks are short. Workers start while tasks wait, and end after an idle
time. Nothing is retried here: a worker that is lost loses the tasks that it had.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from queue import Empty, SimpleQueue
from typing import TypeAlias

from tidemill.adapters.clusters.cluster_worker import ClusterWorker, Refused, WorkerTerms
from tidemill.adapters.clusters.connection import Cluster
from tidemill.adapters.clusters.host import HostReport
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.lanes.event_buffer import EventBuffer
from tidemill.adapters.lanes.resource_shares import AllocationRound
from tidemill.adapters.lanes.task_queue import QueuedTask, TaskQueue
from tidemill.adapters.lanes.worker_protocol import call_message
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.execution import (
    Capacity,
    Fate,
    Task,
    TaskError,
    TaskEvent,
    TaskMeter,
    TaskUsage,
)

_TICK_S = 0.1
# A worker is started beside others only for work that would take these longer than this.
_GROW_S = 1.0
# A worker that takes longer to start waits for a node.
_SLOW_START_S = 5.0
# So many failed starts in a row end the tasks that wait.
_MAX_FAILED_STARTS = 3
_START_AGAIN_S = 10.0
# How long cancelled tasks have to report what they cost when the executor closes.
_CLOSE_S = 5.0
_END_S = 5.0
# What is added to the time that a worker may take to start, before the cluster is given up.
_ANSWER_S = 10.0

_Told: TypeAlias = tuple[ClusterWorker, HostReport | BaseException | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTerms:
    """How a cluster is used: up to `workers` of a shape for each worker class, or of the `default` one.

    A worker ends after `idle_s` without a task. Tasks for which no worker could be placed for `pending_s`
    seconds fail. `meter` is told what tasks use.
    """

    workers: int = 8
    default: WorkerShape = field(default_factory=WorkerShape)
    shapes: Mapping[str, WorkerShape] = field(default_factory=dict)
    idle_s: float = 2.0
    pending_s: float = 300.0
    meter: TaskMeter | None = None

    def shape(self, worker_class: str) -> WorkerShape:
        """The shape of the workers that run the tasks of a class."""
        return self.shapes.get(worker_class, self.default)


class ClusterExecutor:
    """Run tasks on a cluster; closing it ends its workers and the connection."""

    def __init__(self, cluster: Cluster, terms: ClusterTerms, worker_terms: WorkerTerms) -> None:
        self._cluster, self._terms, self._worker_terms = cluster, terms, worker_terms
        self._events = EventBuffer()
        # The lock guards everything below.
        self._lock = self._events.lock
        deferrable = {name for name, held in worker_terms.classes.items() if held.deferrable}
        self._queue = TaskQueue(deferrable)
        self._workers: list[ClusterWorker] = []
        # Those for which a thread may still call the cluster.
        self._ended: list[ClusterWorker] = []
        self._is_closing = False
        self._held_s = self._busy_s = 0.0
        self._failed_starts = 0
        self._next_start = 0.0
        self._inbox: SimpleQueue[_Told | None] = SimpleQueue()
        self._supervisor = threading.Thread(
            target=self._supervise, name="tidemill-cluster", daemon=True
        )
        self._supervisor.start()

    def submit(self, task: Task) -> None:
        """Queue a task; UsageError for one that no worker of its class could ever run."""
        shape = self._terms.shape(task.worker_class)
        if task.gpus > shape.gpus:
            raise UsageError(
                f"task {task.id}: gpus={task.gpus}, but workers of class {task.worker_class} have "
                f"{shape.gpus}; set gpus in [tool.tidemill.{self._cluster.name}], or for the class"
            )
        if shape.memory and task.memory > shape.memory:
            raise UsageError(
                f"task {task.id}: memory={task.memory:,} bytes, but workers of class {task.worker_class} "
                f"have {shape.memory:,}; set memory in [tool.tidemill.{self._cluster.name}], or for the class"
            )
        call_message(task)
        with self._lock:
            if self._is_closing:
                raise UsageError(f"task {task.id}: the executor is closed")
            if not self._events.register(task.id):
                return
            self._queue.put(task)
        self._inbox.put(None)

    def cancel(self, task: str) -> None:
        """Cancel a task; one that runs is killed on its worker."""
        with self._lock:
            if self._drop(task, Fate.CANCELLED):
                return
            for worker in self._workers:
                if task in worker.tasks:
                    worker.cancel(task)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Yield the events since the last call, waiting up to `timeout_s` seconds for the first."""
        yield from self._events.drain(timeout_s)

    def capacity(self) -> Capacity:
        """The load now, and worker seconds so far; a worker counts once for each task it can run at once."""
        now = time.monotonic()
        with self._lock:
            ready = [worker for worker in self._workers if worker.is_ready]
            running = [begun for worker in ready for begun in worker.begun.values()]
            return Capacity(
                live=sum(worker.shape.slots for worker in self._workers),
                busy=len(running),
                waiting=len(self._queue),
                max_workers=self._terms.workers * self._terms.default.slots,
                held_s=self._held_s + sum(worker.held_s(now) for worker in ready),
                busy_s=self._busy_s + sum(now - begun for begun in running),
            )

    def close(self, drain_s: float = 0.0) -> None:
        """Wait up to `drain_s` seconds for tasks to finish, cancel the rest, and end all workers."""
        with self._lock:
            if self._is_closing:
                return
            self._lock.wait_for(self._is_idle, drain_s)
            self._is_closing = True
            while (task := self._queue.peek()) is not None:
                self._drop(task.id, Fate.CANCELLED)
            for worker in self._workers:
                for name in worker.tasks:
                    worker.cancel(name)
            self._lock.wait_for(self._is_idle, _CLOSE_S)
        self._inbox.put(None)
        self._supervisor.join()

    def _is_idle(self) -> bool:
        return not len(self._queue) and not any(worker.tasks for worker in self._workers)

    def _drop(self, task: str, fate: Fate, error: TaskError | None = None) -> bool:
        """Remove a task from the queue and emit its final event; whether it was queued."""
        taken = self._queue.take(task)
        if taken is None:
            return False
        self._emit_lost(task, fate, error, taken.queued_s)
        return True

    def _emit_lost(
        self, task: str, fate: Fate, error: TaskError | None, queued_s: float, worker: str = ""
    ) -> None:
        self._events.put(
            TaskEvent(
                task=task, fate=fate, worker=worker, at=time.time(), error=error, queued_s=queued_s
            )
        )

    def _supervise(self) -> None:
        try:
            while not self._is_closing:
                self._supervise_once()
        finally:
            # Emit final events even if the supervisor itself failed, so that no caller waits forever.
            with self._lock:
                self._is_closing = True
                while (task := self._queue.peek()) is not None:
                    self._drop(task.id, Fate.CANCELLED)
                for worker in [*self._workers]:
                    self._remove(worker, Fate.CANCELLED, "it was cancelled")
            self._cluster.close(idle=self._wait_until_ended())

    def _wait_until_ended(self) -> bool:
        """Wait a while until no thread calls the cluster any more; whether that is so."""
        end = time.monotonic() + _END_S
        while not all(worker.has_ended for worker in self._ended):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _supervise_once(self) -> None:
        told: list[_Told | None] = []
        try:
            told.append(self._inbox.get(timeout=_TICK_S))
            while True:
                told.append(self._inbox.get_nowait())
        except Empty:
            pass
        with self._lock:
            for item in filter(None, told):
                self._handle(*item)
            self._retire_idle()
            self._assign()
            self._grow()
            self._stop_over_budget()

    def _handle(self, worker: ClusterWorker, told: HostReport | BaseException | None) -> None:
        """Take what a worker's thread told: a report, that it is ready, or why it ended."""
        if worker not in self._workers:
            return
        if isinstance(told, HostReport):
            for event in worker.take(told):
                if event.fate is not Fate.STARTED:
                    self._busy_s += event.wall_s
                self._events.put(event)
        elif told is None:
            self._failed_starts = 0
        elif worker.is_ready:
            self._remove(worker, Fate.LOST, str(told))
        else:
            self._note_failed_start(worker, told)

    def _note_failed_start(self, worker: ClusterWorker, error: BaseException) -> None:
        """End the tasks that wait for a worker which can't be had."""
        self._remove(worker, Fate.LOST, str(error))
        now = time.monotonic()
        self._failed_starts += 1
        self._next_start = now + _START_AGAIN_S
        if not isinstance(error, Refused) and self._failed_starts < _MAX_FAILED_STARTS:
            return
        # One that was asked for before may still be placed.
        waited_s = worker.starting_for(now)
        if any(
            other.shape == worker.shape and (other.is_ready or other.starting_for(now) > waited_s)
            for other in self._workers
        ):
            return
        self._failed_starts = 0
        waiting = [
            task.id
            for task in self._queue.tasks()
            if self._terms.shape(task.worker_class) == worker.shape
        ]
        for name in waiting:
            self._drop(name, Fate.ERROR, TaskError(type="NoWorker", message=str(error)))

    def _remove(self, worker: ClusterWorker, fate: Fate, reason: str) -> None:
        """End a worker; the tasks it had get this fate."""
        self._workers.remove(worker)
        self._ended = [*(other for other in self._ended if not other.has_ended), worker]
        if worker.is_ready:
            self._held_s += worker.held_s(time.monotonic())
        worker.end()
        for name, queued_s in worker.tasks.items():
            begun = worker.begun.get(name)
            self._busy_s += time.monotonic() - begun if begun is not None else 0.0
            self._emit_lost(
                name, fate, TaskError(type=fate.name, message=reason), queued_s, worker.name
            )

    def _retire_idle(self) -> None:
        now, idle_s = time.monotonic(), self._terms.idle_s
        wanted = {self._terms.shape(task.worker_class) for _, task in self._queue.next_by_kind()}
        for worker in [*self._workers]:
            # Clusters add nodes for workers that nobody waits for any more.
            is_unwanted = worker.shape not in wanted and worker.starting_for(now) > idle_s
            if worker.starting_for(now) > self._terms.pending_s + _ANSWER_S:
                self._note_failed_start(worker, Refused("the cluster doesn't answer any more"))
            elif is_unwanted or worker.idle_for(now) > (0 if worker.is_old(now) else idle_s):
                self._remove(worker, Fate.LOST, "it was idle")

    def _assign(self) -> None:
        """Send queued tasks to the workers that have room for them."""
        now = time.monotonic()
        ready = [each for each in self._workers if each.is_ready and not each.is_old(now)]
        if not ready or not len(self._queue):
            return
        batches: dict[ClusterWorker, list[QueuedTask]] = {}
        while (pair := self._next_assignment(ready)) is not None:
            batches.setdefault(pair[0], []).append(pair[1])
        for worker, tasks in batches.items():
            worker.send(tasks)

    def _next_assignment(
        self, ready: list[ClusterWorker]
    ) -> tuple[ClusterWorker, QueuedTask] | None:
        looks = {worker: AllocationRound(worker.shares) for worker in ready}
        for _, task in self._queue.next_by_kind():
            shape = self._terms.shape(task.worker_class)
            able = sorted((w for w in ready if w.shape == shape), key=lambda w: len(w.tasks))
            for worker in able:
                lacking = looks[worker].shortages(task)
                if not lacking or worker.has_room_ahead(task):
                    taken = self._queue.take(task.id)
                    assert taken is not None
                    worker.allocate(taken, ahead=bool(lacking))
                    return worker, taken
            if able:
                looks[able[0]].reserve(task, looks[able[0]].shortages(task))
        return None

    def _grow(self) -> None:
        """Start workers for the tasks that wait; after a failed start not at once, if there are others."""
        now = time.monotonic()
        if now < self._next_start and self._workers:
            return
        wanted: dict[WorkerShape, int] = {}
        for kind, task in self._queue.next_by_kind():
            shape = self._terms.shape(task.worker_class)
            wanted[shape] = wanted.get(shape, 0) + self._queue.count(kind)
        for shape, waiting in wanted.items():
            same = [each for each in self._workers if each.shape == shape and not each.is_old(now)]
            coming = sum(not worker.is_ready for worker in same)
            for _ in range(
                min(self._missing_workers(shape, same, waiting), self._terms.workers) - coming
            ):
                if len(self._workers) >= self._terms.workers and not self._make_room(shape):
                    return
                self._start(shape)

    def _missing_workers(self, shape: WorkerShape, same: list[ClusterWorker], waiting: int) -> int:
        """How many more workers would have enough to do."""
        now = time.monotonic()
        seconds = [found for worker in same if (found := worker.expected_s(now)) is not None]
        if not seconds:
            # One tells what tasks take, unless a node has to be started for it, which takes long.
            slow = any(worker.starting_for(now) > _SLOW_START_S for worker in same)
            return -(-waiting // shape.slots) if slow else 0 if same else 1
        lasting = waiting * sum(seconds) / len(seconds)
        return int(lasting / (_GROW_S * shape.slots))

    def _make_room(self, shape: WorkerShape) -> bool:
        """Whether an idle worker of another shape could be ended."""
        for worker in self._workers:
            if worker.is_ready and not worker.tasks and worker.shape != shape:
                self._remove(worker, Fate.LOST, "it was idle")
                return True
        return False

    def _start(self, shape: WorkerShape) -> None:
        tell: Callable[[ClusterWorker, HostReport | BaseException | None], None]
        tell = lambda worker, told: self._inbox.put((worker, told))  # noqa: E731
        terms = replace(self._worker_terms, metered=self._terms.meter is not None)
        self._workers.append(
            ClusterWorker(self._cluster, shape, terms, tell, pending_s=self._terms.pending_s)
        )

    def _stop_over_budget(self) -> None:
        """Tell the meter what workers have used, and end the tasks that it says."""
        if self._terms.meter is None:
            return
        usages: dict[str, TaskUsage] = {}
        for worker in self._workers:
            usages.update(worker.usages)
        total = sum(worker.cpu_s for worker in self._workers)
        over = self._terms.meter.find_over(usages, total)
        for task in over:
            if not self._drop(task, Fate.BUDGET):
                for worker in self._workers:
                    worker.stop_over_budget(task)
