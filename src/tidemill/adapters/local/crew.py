"""The workers of a lane: which there are, what each does, when another comes and when one goes.

Nothing here waits and nothing is locked: the lane calls it under its lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from selectors import EVENT_READ, BaseSelector

from tidemill.adapters.local.process import Process, cause, machine_kills, why_not
from tidemill.adapters.local.waiting import Waiting
from tidemill.adapters.local.wire import Answer, answers, temporary, told
from tidemill.domain.task import Fate, Task, TaskError, TaskEvent

# Memory and time are looked at so often; a process rarely takes more than some 100 MB between.
_POLL_S = 0.05
_LEAVING_S = 0.01
# So many workers in a row that end before they are ready mean that none ever will be.
_HOPELESS = 3


class Crew:
    """Up to `most` workers that work through `waiting`; `tell` is called with every event."""

    def __init__(
        self,
        waiting: Waiting,
        selector: BaseSelector,
        tell: Callable[[TaskEvent], None],
        *,
        most: int,
        cpus: float,
        idle_s: float,
    ) -> None:
        self._waiting = waiting
        self._selector = selector
        self._tell = tell
        self._most, self._cpus, self._idle_s = most, cpus, idle_s
        self.workers: list[Process] = []
        self._leaving: list[Process] = []
        self._failed_starts = 0
        self._kills = machine_kills()
        self._held_s = self._busy_s = 0.0

    @property
    def gone(self) -> bool:
        """Whether no process is left."""
        return not (self.workers or self._leaving)

    @property
    def busy(self) -> Collection[Process]:
        return [worker for worker in self.workers if worker.task is not None]

    @property
    def spent(self) -> tuple[float, float]:
        """Worker seconds so far: held, and busy."""
        now = time.monotonic()
        held = sum(now - worker.started for worker in self.workers)
        return self._held_s + held, self._busy_s + sum(now - worker.since for worker in self.busy)

    def assign(self) -> None:
        """Hand tasks to workers that are ready, as long as there are both."""
        while (task := self._waiting.next()) is not None:
            worker = self._free(task)
            if worker is None:
                return
            taken = self._waiting.take(task.id)
            assert taken is not None
            worker.call(task, taken[1])
            self._tell(
                TaskEvent(
                    task=task.id,
                    fate=Fate.STARTED,
                    worker=worker.name,
                    at=time.time(),
                    queued_s=taken[1],
                )
            )

    def _free(self, task: Task) -> Process | None:
        busy = self.busy
        # A task that wants more than there is runs alone.
        if busy and sum(worker.cpus for worker in busy) + task.cpus > self._cpus:
            return None
        kind = kind_of(task)
        idle = (w for w in self.workers if w.ready and w.task is None and w.kind == kind)
        return next(idle, None)

    def look_after(self, *, closing: bool) -> None:
        """Kill what takes too long or holds too much, end who is idle for too long, start who is needed."""
        now = time.monotonic()
        self._leaving = [worker for worker in self._leaving if not worker.left()]
        for worker in [*self.workers]:
            if worker.task is not None:
                _limit(worker, worker.task, now)
            elif worker.ready and (closing or now - worker.since >= self._idle_s):
                self._retire(worker)
        self.assign()
        self._grow()

    def _grow(self) -> None:
        """Start a worker for each task that waits, as far as there is room."""
        starting = sum(not worker.ready for worker in self.workers)
        task = self._waiting.next()
        for _ in range(len(self._waiting) - starting):
            assert task is not None
            if not self._room(task):
                return
            worker = Process(*kind_of(task))
            self.workers.append(worker)
            self._selector.register(worker.stream, EVENT_READ, worker)

    def _room(self, task: Task) -> bool:
        """Whether there is room for another worker; idle ones of another kind make some."""
        kind = kind_of(task)
        if len(self.workers) >= self._most or self._threads() + kind[1] > self._cpus:
            others = (w for w in self.workers if w.ready and w.task is None and w.kind != kind)
            other = next(others, None)
            if other is None:
                return not self.workers
            self._retire(other)
        return True

    def _threads(self) -> int:
        return sum(worker.kind[1] for worker in self.workers)

    def _retire(self, worker: Process) -> None:
        self._forget(worker)
        worker.leave()
        self._leaving.append(worker)

    def _forget(self, worker: Process) -> None:
        self.workers.remove(worker)
        self._selector.unregister(worker.stream)
        self._held_s += time.monotonic() - worker.started

    def pause(self) -> float | None:
        """How long nothing has to be looked at, if nobody speaks."""
        if self._leaving:
            return _LEAVING_S
        if not self.workers:
            return None
        now = time.monotonic()
        ends = [w.since + w.task.timeout_s - now for w in self.busy if w.task and w.task.timeout_s]
        return max(0.0, min([_POLL_S, self._idle_s or _POLL_S, *ends]))

    def hear(self, worker: Process) -> None:
        """Take what a worker says, or that it is gone."""
        try:
            for frame in worker.frames.receive():
                self._answered(worker, answers.decode(frame))
        except EOFError:
            self._lose(worker)

    def _answered(self, worker: Process, answer: Answer) -> None:
        task, worker.task, worker.since = worker.task, None, time.monotonic()
        if task is None:
            worker.ready, self._failed_starts = True, 0
        else:
            self._busy_s += answer.wall_s
        # The worker goes on before anybody is told.
        self.assign()
        if task is not None:
            self._tell(
                told(answer, worker=worker.name, queued_s=worker.queued_s, peak_rss=worker.peak)
            )

    def _lose(self, worker: Process) -> None:
        """A worker is gone: what it was at work on is lost, or was ended for a reason."""
        self._forget(worker)
        code, task = worker.end(), worker.task
        kills, self._kills = self._kills, machine_kills()
        if task is None:
            self._failed_starts += not worker.ready
            if self._failed_starts >= _HOPELESS:
                self._give_up()
            return
        self._busy_s += time.monotonic() - worker.since
        if task.output:
            with suppress(OSError):
                os.unlink(temporary(task.output, task.id))
        fate = Fate(worker.ended_for or (Fate.OOM if self._kills > kills else Fate.LOST))
        self._tell(
            TaskEvent(
                task=task.id,
                fate=fate,
                worker=worker.name,
                at=time.time(),
                error=TaskError(type=fate.name, message=_why(fate, task, worker, code)),
                queued_s=worker.queued_s,
                wall_s=time.monotonic() - worker.since,
                peak_rss=worker.peak,
            )
        )

    def _give_up(self) -> None:
        """No worker can be started: every task that waits is told why, instead of waiting for ever."""
        error = TaskError(type="WorkerStart", message=f"no worker can be started: {why_not()}")
        self._failed_starts = 0
        while (task := self._waiting.next()) is not None:
            self.drop(task.id, Fate.LOST, error)

    def drop(self, task: str, fate: Fate, error: TaskError | None = None) -> bool:
        """Give up a task that waits; whether it did."""
        taken = self._waiting.take(task)
        if taken is None:
            return False
        event = TaskEvent(
            task=task, fate=fate, worker="", at=time.time(), error=error, queued_s=taken[1]
        )
        self._tell(event)
        return True

    def kill(self, task: str, why: Fate) -> None:
        """Kill the worker that is at work on a task, if one is."""
        for worker in self.busy:
            if worker.task is not None and worker.task.id == task:
                worker.kill(why)


def kind_of(task: Task) -> tuple[str, int]:
    """Which workers can take a task: those of its class, with as many threads as it has CPUs."""
    return task.worker_class, max(1, int(task.cpus))


def _limit(worker: Process, task: Task, now: float) -> None:
    held = worker.resident()
    if task.timeout_s is not None and now - worker.since >= task.timeout_s:
        worker.kill(Fate.TIMEOUT)
    elif task.memory and held > task.memory:
        worker.kill(Fate.OOM)


def _why(fate: Fate, task: Task, worker: Process, code: int) -> str:
    match fate:
        case Fate.TIMEOUT:
            return f"it took longer than its timeout of {task.timeout_s:g} s"
        case Fate.CANCELLED:
            return "it was cancelled"
        case Fate.OOM if worker.ended_for:
            held, cap = worker.peak / 1e6, task.memory / 1e6
            return f"it held {held:,.0f} MB, more than its memory cap of {cap:,.0f} MB"
        case Fate.OOM:
            return f"the machine ran out of memory: {cause(code)}"
    return cause(code)
