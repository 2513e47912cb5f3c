"""Manage a lane's worker processes: start and retire them, assign tasks, enforce limits.

Nothing here blocks or locks: the lane calls it while holding its lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from tidemill.adapters.lanes.exit_causes import count_oom_kills
from tidemill.adapters.lanes.lost_task import lost_task_event
from tidemill.adapters.lanes.resource_shares import AllocationRound, ResourceShares
from tidemill.adapters.lanes.task_call import move_output
from tidemill.adapters.lanes.task_queue import QueuedTask, TaskQueue, WorkerKind
from tidemill.adapters.lanes.worker_process import WorkerProcess
from tidemill.adapters.lanes.worker_protocol import TaskAnswer, answer_decoder, task_event
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.execution import Fate, TaskError, TaskEvent, TaskMeter, WorkerClass

# How often memory and time are checked; a process rarely allocates more than 100 MB in between.
_POLL_S = 0.05
_EXIT_POLL_S = 0.005
# A worker that isn't ready after this time never will be. When failed starts in a row add up to
# `_MAX_FAILED_STARTS`, no worker can start; one that was killed from outside counts for less.
_START_TIMEOUT_S = 60.0
_MAX_FAILED_STARTS = 3.0
_KILLED_WEIGHT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Limits of a pool; an idle worker ends after `idle_s`, `devices` are names, `output` is a folder.

    A `meter` is told several times a second what tasks use, and says which have to end.
    """

    max_workers: int
    idle_s: float
    devices: tuple[str, ...]
    classes: Mapping[str, WorkerClass]
    output: Path | None
    meter: TaskMeter | None = None


class WorkerPool:
    """Worker processes that run the tasks of a queue; `emit` is called with every event."""

    def __init__(
        self,
        limits: PoolLimits,
        shares: ResourceShares,
        queue: TaskQueue,
        selector: BaseSelector,
        emit: Callable[[TaskEvent], None],
    ) -> None:
        self._limits = limits
        self._shares = shares
        self._queue = queue
        self._selector = selector
        self._emit = emit
        self.workers: list[WorkerProcess] = []
        # Idle workers; the one that became idle last is at the end.
        self._idle: dict[WorkerKind, list[WorkerProcess]] = {}
        self._exiting: list[WorkerProcess] = []
        self._failed_starts = 0.0
        self._checked_at = 0.0
        self._oom_kills = count_oom_kills()
        self._held_s = self._busy_s = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether no worker process is left."""
        return not (self.workers or self._exiting)

    @property
    def busy_workers(self) -> Collection[WorkerProcess]:
        return [worker for worker in self.workers if worker.task is not None]

    @property
    def is_idle(self) -> bool:
        """Whether every started task has its final event."""
        return not (self.busy_workers or any(worker.task for worker in self._exiting))

    @property
    def worker_seconds(self) -> tuple[float, float]:
        """Worker seconds so far: held and busy."""
        now = time.monotonic()
        held = sum(now - worker.started_at for worker in self.workers)
        return self._held_s + held, self._busy_s + sum(
            now - worker.changed_at for worker in self.busy_workers
        )

    def assign(self) -> None:
        """Send queued tasks to idle workers, as long as there are both."""
        while self._idle and (pair := self._next_assignment()) is not None:
            self._send_task(*pair)

    def _next_assignment(self) -> tuple[WorkerProcess, QueuedTask] | None:
        look = AllocationRound(self._shares)
        for kind, task in self._queue.next_by_kind():
            lacking, free = look.shortages(task), self._idle.get(kind)
            if free and not lacking:
                taken = self._queue.take(task.id)
                assert taken is not None
                return free[-1], taken
            look.reserve(task, lacking)
        return None

    def _send_task(self, worker: WorkerProcess, taken: QueuedTask) -> None:
        self._remove_idle(worker)
        self._shares.allocate(taken.task)
        worker.send_task(taken)
        if self._limits.meter is not None:
            # What it uses from the beginning counts.
            worker.measure_cpu()
        if worker.unsent:
            self._selector.modify(worker.stream, EVENT_READ | EVENT_WRITE, worker)
        self._emit(
            TaskEvent(
                task=taken.task.id,
                fate=Fate.STARTED,
                worker=worker.name,
                at=time.time(),
                queued_s=taken.queued_s,
            )
        )

    def _remove_idle(self, worker: WorkerProcess) -> None:
        """Remove a worker from the idle ones."""
        free = self._idle[worker.kind]
        free.remove(worker)
        if not free:
            del self._idle[worker.kind]

    def maintain(self, *, closing: bool) -> None:
        """Enforce the limits of running tasks, retire idle workers, and start workers that are needed."""
        now = time.monotonic()
        self._reap_exited()
        due = now - self._checked_at >= _POLL_S
        if due:
            self._checked_at = now
        for worker in [*self.workers]:
            if closing and not worker.is_ready:
                worker.kill()
            elif worker.task is not None or not worker.is_ready:
                self._enforce_limits(worker, now, due)
            elif closing or now - worker.changed_at >= self._limits.idle_s:
                self._retire(worker)
        if due and self._limits.meter is not None:
            self._stop_over_budget(self._limits.meter)
        self.assign()
        self._start_workers()

    def _stop_over_budget(self, meter: TaskMeter) -> None:
        """Tell the meter what workers have used, and end the tasks that it says."""
        total = sum(worker.measure_cpu() for worker in (*self.workers, *self._exiting))
        usages = {
            worker.task.id: worker.usage
            for worker in (*self.workers, *self._exiting)
            if worker.task is not None
        }
        for task in meter.find_over(usages, total):
            if not self.drop_task(task, Fate.BUDGET):
                self.kill_task(task, Fate.BUDGET)

    def _enforce_limits(self, worker: WorkerProcess, now: float, due: bool) -> None:
        task, taken_s = worker.task, now - worker.changed_at
        if task is None:
            if taken_s >= _START_TIMEOUT_S:
                worker.kill(Fate.TIMEOUT)
        elif task.timeout_s is not None and taken_s >= task.timeout_s:
            worker.kill(Fate.TIMEOUT)
        elif due:
            worker.measure_cpu()
            if worker.measure_memory() > task.memory > 0:
                worker.kill(Fate.OOM)
        # A child process may keep the connection open; messages sent before the exit are read first.
        if due and worker.exit_seen:
            self._lose_worker(worker)
        elif due:
            worker.exit_seen = worker.has_exited()

    def _start_workers(self) -> None:
        """Start workers for queued tasks, as far as resources allow."""
        look = AllocationRound(self._shares)
        for kind, task in self._queue.next_by_kind():
            coming = sum(w.kind == kind and not w.is_ready for w in self.workers)
            for number in range(self._queue.count(kind)):
                lacking = look.shortages(task)
                look.reserve(task, lacking)
                if lacking or (
                    number >= coming and not (self._make_room(kind) and self._start_worker(kind))
                ):
                    break

    def _make_room(self, kind: WorkerKind) -> bool:
        """Whether another worker fits; retires an idle worker of another kind if needed."""
        later, most = self._shares.deferrable, self._limits.max_workers
        if len(self.workers) >= most and not self._retire_idle(kind):
            # Workers of deferrable classes don't block urgent ones.
            urgent = sum(worker.kind.worker_class not in later for worker in self.workers)
            if kind.worker_class in later or urgent >= most:
                return False
        if kind.gpus <= len(self._free_devices()):
            return True
        # Devices become free only when the process that holds them has exited.
        self._retire_idle(kind, gpus=True)
        return False

    def _retire_idle(self, kind: WorkerKind, *, gpus: bool = False) -> bool:
        """Retire an idle worker of another kind; whether there was one."""
        idle = (w for k, free in self._idle.items() if k != kind and k.gpus >= gpus for w in free)
        worker = next(idle, None)
        if worker is None:
            return False
        self._retire(worker)
        return True

    def _free_devices(self) -> list[str]:
        """The devices that no process holds."""
        held = {name for w in (*self.workers, *self._exiting) for name in w.devices}
        return [name for name in self._limits.devices if name not in held]

    def _start_worker(self, kind: WorkerKind) -> bool:
        terms = self._limits
        own = terms.classes.get(kind.worker_class, WorkerClass())
        devices = tuple(self._free_devices()[: kind.gpus])
        try:
            worker = WorkerProcess(
                kind, niceness=own.niceness, devices=devices, output=terms.output
            )
        except OSError as error:
            self._count_failed_start(str(error))
            return False
        self.workers.append(worker)
        self._selector.register(worker.stream, EVENT_READ, worker)
        return True

    def _retire(self, worker: WorkerProcess) -> None:
        self._remove_idle(worker)
        self._disconnect(worker)

    def _disconnect(self, worker: WorkerProcess) -> None:
        """Disconnect a worker and wait for its process to exit."""
        self.workers.remove(worker)
        self._selector.unregister(worker.stream)
        self._held_s += time.monotonic() - worker.started_at
        worker.disconnect()
        self._exiting.append(worker)

    def seconds_to_next_check(self) -> float | None:
        """Seconds until the next check, unless a worker sends something; None if nothing is due."""
        if self._exiting:
            return _EXIT_POLL_S
        if not self.workers:
            # Tasks are queued and no worker could be started: try again.
            return _POLL_S if self._failed_starts and len(self._queue) else None
        now = time.monotonic()
        ends = [
            w.changed_at + w.task.timeout_s - now
            for w in self.busy_workers
            if w.task and w.task.timeout_s
        ]
        return max(0.0, min([_POLL_S, self._limits.idle_s or _POLL_S, *ends]))

    def handle_io(self, worker: WorkerProcess, *, can_send: bool) -> None:
        """Read a worker's messages or notice its exit, and send the rest of its task."""
        if worker not in self.workers:
            return
        if can_send:
            worker.send_more()
            if not worker.unsent:
                self._selector.modify(worker.stream, EVENT_READ, worker)
        try:
            for frame in worker.frames.receive():
                self._handle_answer(worker, answer_decoder.decode(frame))
        except EOFError:
            self._lose_worker(worker)
        # The task itself may have written to the connection.
        except ValueError as error:
            worker.protocol_error = f"it sent an invalid answer to the lane: {error}"
            worker.kill()
            self._lose_worker(worker)

    def _handle_answer(self, worker: WorkerProcess, answer: TaskAnswer) -> None:
        task, ready = worker.task, worker.is_ready
        if answer.id != (task.id if task else "") or (task is None and ready):
            raise ValueError(f"unexpected answer to {answer.id!r}")
        if task is not None:
            answer = move_output(answer, task)
        worker.task, worker.changed_at, worker.is_ready = None, time.monotonic(), True
        self._idle.setdefault(worker.kind, []).append(worker)
        if task is None:
            self._failed_starts = 0.0
        else:
            self._busy_s += answer.wall_s
            self._shares.release(task)
            queued_s, peak = worker.queued_s, worker.peak_rss
            self._emit(task_event(answer, worker=worker.name, queued_s=queued_s, peak_rss=peak))
        self.assign()

    def _lose_worker(self, worker: WorkerProcess) -> None:
        """Dismiss a worker that has died or is dying; its task's final event follows after the exit."""
        if worker.task is not None:
            worker.wall_s = time.monotonic() - worker.changed_at
            self._busy_s += worker.wall_s
            self._shares.release(worker.task)
        elif worker.is_ready:
            self._remove_idle(worker)
        self._disconnect(worker)
        self._reap_exited()

    def _reap_exited(self) -> None:
        """Reap workers whose process has exited, and emit the final events of their tasks."""
        for worker in [*self._exiting]:
            if not worker.reap():
                continue
            self._exiting.remove(worker)
            if worker.task is not None:
                kills, self._oom_kills = self._oom_kills, count_oom_kills()
                self._emit(lost_task_event(worker, worker.task, oom_killed=self._oom_kills > kills))
            elif not worker.is_ready:
                self._count_failed_start(
                    "", 1.0 if worker.kill_reason or worker.exit_code >= 0 else _KILLED_WEIGHT
                )

    def _count_failed_start(self, reason: str, weight: float = 1.0) -> None:
        """Count a failed start; after too many in a row, all queued tasks are reported lost."""
        self._failed_starts += weight
        if self._failed_starts < _MAX_FAILED_STARTS or any(
            worker.is_ready for worker in self.workers
        ):
            return
        self._failed_starts = 0.0
        for worker in self.workers:
            worker.kill()
        reason = reason or WorkerProcess.explain_failed_start()
        error = TaskError(type="WorkerStart", message=f"no worker can be started: {reason}")
        while (task := self._queue.peek()) is not None:
            self.drop_task(task.id, Fate.LOST, error)

    def drop_task(self, task: str, fate: Fate, error: TaskError | None = None) -> bool:
        """Remove a task from the queue and emit its final event; whether it was queued."""
        taken = self._queue.take(task)
        if taken is None:
            return False
        event = TaskEvent(
            task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=taken.queued_s
        )
        self._emit(event)
        return True

    def kill_all(self) -> None:
        """Kill all workers and report their tasks as lost; queued tasks stay in the queue."""
        for worker in (*self.workers, *self._exiting):
            worker.protocol_error = worker.protocol_error or "its lane failed"
            worker.kill()
        for worker in [*self.workers]:
            self._lose_worker(worker)
        while self._exiting:
            time.sleep(_EXIT_POLL_S)
            self._reap_exited()

    def kill_task(self, task: str, reason: Fate) -> None:
        """Kill the worker that runs a task, if any."""
        for worker in self.busy_workers:
            if worker.task is not None and worker.task.id == task:
                worker.kill(reason)
