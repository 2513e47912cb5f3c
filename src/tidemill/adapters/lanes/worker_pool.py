"""Manage a lane's worker processes: start and retire them, assign tasks, enforce limits.

Nothing here blocks or locks: the lane calls it while holding its lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from tidemill.adapters.lanes.exit_causes import machine_kills
from tidemill.adapters.lanes.lost_task import ended
from tidemill.adapters.lanes.resource_shares import Round, Shares
from tidemill.adapters.lanes.task_call import placed
from tidemill.adapters.lanes.task_queue import Kind, Taken, Waiting
from tidemill.adapters.lanes.wire import Answer, answers, told
from tidemill.adapters.lanes.worker_process import Process
from tidemill.ports.execution import Fate, TaskError, TaskEvent, WorkerClass

# How often memory and time are checked; a process rarely allocates more than 100 MB in between.
_POLL_S = 0.05
_LEAVING_S = 0.005
# A worker that isn't ready after this time never will be. When failed starts in a row add up to
# `_MAX_FAILED_STARTS`, no worker can start; one that was killed from outside counts for less.
_START_S = 60.0
_HOPELESS = 3.0
_KILLED = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Limits of a pool; an idle worker ends after `idle_s`, `devices` are names, `output` is a folder."""

    most: int
    idle_s: float
    devices: tuple[str, ...]
    classes: Mapping[str, WorkerClass]
    output: Path | None


class Crew:
    """Worker processes that run the tasks of a queue; `emit` is called with every event."""

    def __init__(
        self,
        terms: Terms,
        shares: Shares,
        waiting: Waiting,
        selector: BaseSelector,
        tell: Callable[[TaskEvent], None],
    ) -> None:
        self._terms = terms
        self._shares = shares
        self._waiting = waiting
        self._selector = selector
        self._tell = tell
        self.workers: list[Process] = []
        # Idle workers; the one that became idle last is at the end.
        self._free: dict[Kind, list[Process]] = {}
        self._leaving: list[Process] = []
        self._failed_starts = 0.0
        self._looked = 0.0
        self._kills = machine_kills()
        self._held_s = self._busy_s = 0.0

    @property
    def gone(self) -> bool:
        """Whether no worker process is left."""
        return not (self.workers or self._leaving)

    @property
    def busy(self) -> Collection[Process]:
        return [worker for worker in self.workers if worker.task is not None]

    @property
    def done(self) -> bool:
        """Whether every started task has its final event."""
        return not (self.busy or any(worker.task for worker in self._leaving))

    @property
    def spent(self) -> tuple[float, float]:
        """Worker seconds so far: held and busy."""
        now = time.monotonic()
        held = sum(now - worker.started for worker in self.workers)
        return self._held_s + held, self._busy_s + sum(now - worker.since for worker in self.busy)

    def assign(self) -> None:
        """Send queued tasks to idle workers, as long as there are both."""
        while self._free and (pair := self._pair()) is not None:
            self._call(*pair)

    def _pair(self) -> tuple[Process, Taken] | None:
        look = Round(self._shares)
        for kind, task in self._waiting.heads():
            lacking, free = look.lacks(task), self._free.get(kind)
            if free and not lacking:
                taken = self._waiting.take(task.id)
                assert taken is not None
                return free[-1], taken
            look.keep(task, lacking)
        return None

    def _call(self, worker: Process, taken: Taken) -> None:
        self._occupy(worker)
        self._shares.take(taken.task)
        worker.call(taken)
        if worker.unsent:
            self._selector.modify(worker.stream, EVENT_READ | EVENT_WRITE, worker)
        self._tell(
            TaskEvent(
                task=taken.task.id,
                fate=Fate.STARTED,
                worker=worker.name,
                at=time.time(),
                queued_s=taken.queued_s,
            )
        )

    def _occupy(self, worker: Process) -> None:
        """Remove a worker from the idle ones."""
        free = self._free[worker.kind]
        free.remove(worker)
        if not free:
            del self._free[worker.kind]

    def look_after(self, *, closing: bool) -> None:
        """Enforce the limits of running tasks, retire idle workers, and start workers that are needed."""
        now = time.monotonic()
        self._bury()
        due = now - self._looked >= _POLL_S
        if due:
            self._looked = now
        for worker in [*self.workers]:
            if closing and not worker.ready:
                worker.kill()
            elif worker.task is not None or not worker.ready:
                self._limit(worker, now, due)
            elif closing or now - worker.since >= self._terms.idle_s:
                self._retire(worker)
        self.assign()
        self._grow()

    def _limit(self, worker: Process, now: float, due: bool) -> None:
        task, taken_s = worker.task, now - worker.since
        if task is None:
            if taken_s >= _START_S:
                worker.kill(Fate.TIMEOUT)
        elif task.timeout_s is not None and taken_s >= task.timeout_s:
            worker.kill(Fate.TIMEOUT)
        elif due:
            worker.spend()
            if worker.resident() > task.memory > 0:
                worker.kill(Fate.OOM)
        # A child process may keep the connection open; messages sent before the exit are read first.
        if due and worker.silent:
            self._lose(worker)
        elif due:
            worker.silent = worker.ended()

    def _grow(self) -> None:
        """Start workers for queued tasks, as far as resources allow."""
        look = Round(self._shares)
        for kind, task in self._waiting.heads():
            coming = sum(w.kind == kind and not w.ready for w in self.workers)
            for number in range(self._waiting.count(kind)):
                lacking = look.lacks(task)
                look.keep(task, lacking)
                if lacking or (number >= coming and not (self._seat(kind) and self._start(kind))):
                    break

    def _seat(self, kind: Kind) -> bool:
        """Whether another worker fits; retires an idle worker of another kind if needed."""
        later, most = self._shares.later, self._terms.most
        if len(self.workers) >= most and not self._spare(kind):
            # Workers of deferrable classes don't block urgent ones.
            urgent = sum(worker.kind.worker_class not in later for worker in self.workers)
            if kind.worker_class in later or urgent >= most:
                return False
        if kind.gpus <= len(self._devices()):
            return True
        # Devices become free only when the process that holds them has exited.
        self._spare(kind, gpus=True)
        return False

    def _spare(self, kind: Kind, *, gpus: bool = False) -> bool:
        """Retire an idle worker of another kind; whether there was one."""
        idle = (w for k, free in self._free.items() if k != kind and k.gpus >= gpus for w in free)
        worker = next(idle, None)
        if worker is None:
            return False
        self._retire(worker)
        return True

    def _devices(self) -> list[str]:
        """The devices that no process holds."""
        held = {name for w in (*self.workers, *self._leaving) for name in w.devices}
        return [name for name in self._terms.devices if name not in held]

    def _start(self, kind: Kind) -> bool:
        terms = self._terms
        own = terms.classes.get(kind.worker_class, WorkerClass())
        devices = tuple(self._devices()[: kind.gpus])
        try:
            worker = Process(kind, niceness=own.niceness, devices=devices, output=terms.output)
        except OSError as error:
            self._failed(str(error))
            return False
        self.workers.append(worker)
        self._selector.register(worker.stream, EVENT_READ, worker)
        return True

    def _retire(self, worker: Process) -> None:
        self._occupy(worker)
        self._dismiss(worker)

    def _dismiss(self, worker: Process) -> None:
        """Disconnect a worker and wait for its process to exit."""
        self.workers.remove(worker)
        self._selector.unregister(worker.stream)
        self._held_s += time.monotonic() - worker.started
        worker.hang_up()
        self._leaving.append(worker)

    def pause(self) -> float | None:
        """Seconds until the next check, unless a worker sends something; None if nothing is due."""
        if self._leaving:
            return _LEAVING_S
        if not self.workers:
            # Tasks are queued and no worker could be started: try again.
            return _POLL_S if self._failed_starts and len(self._waiting) else None
        now = time.monotonic()
        ends = [w.since + w.task.timeout_s - now for w in self.busy if w.task and w.task.timeout_s]
        return max(0.0, min([_POLL_S, self._terms.idle_s or _POLL_S, *ends]))

    def hear(self, worker: Process, *, can_send: bool) -> None:
        """Read a worker's messages or notice its exit, and send the rest of its task."""
        if worker not in self.workers:
            return
        if can_send:
            worker.send()
            if not worker.unsent:
                self._selector.modify(worker.stream, EVENT_READ, worker)
        try:
            for frame in worker.frames.receive():
                self._answered(worker, answers.decode(frame))
        except EOFError:
            self._lose(worker)
        # The task itself may have written to the connection.
        except ValueError as error:
            worker.fault = f"it sent an invalid answer to the lane: {error}"
            worker.kill()
            self._lose(worker)

    def _answered(self, worker: Process, answer: Answer) -> None:
        task, ready = worker.task, worker.ready
        if answer.id != (task.id if task else "") or (task is None and ready):
            raise ValueError(f"unexpected answer to {answer.id!r}")
        if task is not None:
            answer = placed(answer, task)
        worker.task, worker.since, worker.ready = None, time.monotonic(), True
        self._free.setdefault(worker.kind, []).append(worker)
        if task is None:
            self._failed_starts = 0.0
        else:
            self._busy_s += answer.wall_s
            self._shares.give(task)
            queued_s, peak = worker.queued_s, worker.peak
            self._tell(told(answer, worker=worker.name, queued_s=queued_s, peak_rss=peak))
        self.assign()

    def _lose(self, worker: Process) -> None:
        """Dismiss a worker that has died or is dying; its task's final event follows after the exit."""
        if worker.task is not None:
            worker.wall_s = time.monotonic() - worker.since
            self._busy_s += worker.wall_s
            self._shares.give(worker.task)
        elif worker.ready:
            self._occupy(worker)
        self._dismiss(worker)
        self._bury()

    def _bury(self) -> None:
        """Reap workers whose process has exited, and emit the final events of their tasks."""
        for worker in [*self._leaving]:
            if not worker.left():
                continue
            self._leaving.remove(worker)
            if worker.task is not None:
                kills, self._kills = self._kills, machine_kills()
                self._tell(ended(worker, worker.task, starved=self._kills > kills))
            elif not worker.ready:
                self._failed("", 1.0 if worker.ended_for or worker.code >= 0 else _KILLED)

    def _failed(self, why: str, weight: float = 1.0) -> None:
        """Count a failed start; after too many in a row, all queued tasks are reported lost."""
        self._failed_starts += weight
        if self._failed_starts < _HOPELESS or any(worker.ready for worker in self.workers):
            return
        self._failed_starts = 0.0
        for worker in self.workers:
            worker.kill()
        why = why or Process.why_not()
        error = TaskError(type="WorkerStart", message=f"no worker can be started: {why}")
        while (task := self._waiting.next()) is not None:
            self.drop(task.id, Fate.LOST, error)

    def drop(self, task: str, fate: Fate, error: TaskError | None = None) -> bool:
        """Remove a task from the queue and emit its final event; whether it was queued."""
        taken = self._waiting.take(task)
        if taken is None:
            return False
        event = TaskEvent(
            task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=taken.queued_s
        )
        self._tell(event)
        return True

    def abandon(self) -> None:
        """Kill all workers and report their tasks as lost; queued tasks stay in the queue."""
        for worker in (*self.workers, *self._leaving):
            worker.fault = worker.fault or "its lane failed"
            worker.kill()
        for worker in [*self.workers]:
            self._lose(worker)
        while self._leaving:
            time.sleep(_LEAVING_S)
            self._bury()

    def kill(self, task: str, why: Fate) -> None:
        """Kill the worker that runs a task, if any."""
        for worker in self.busy:
            if worker.task is not None and worker.task.id == task:
                worker.kill(why)
