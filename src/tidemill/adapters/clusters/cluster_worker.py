"""One worker on a cluster, as its executor sees it: what it was given, and the thread that asks it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import count
from typing import Any

from tidemill.adapters.clusters.connection import Cluster, WorkerConnection
from tidemill.adapters.clusters.host import HostReport, LaneTerms, encode, report_decoder
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.lanes.resource_shares import ResourceShares
from tidemill.adapters.lanes.task_queue import QueuedTask
from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.execution import Fate, Task, TaskEvent, TaskUsage, WorkerClass

# How long a report is awaited on the worker, and how long the worker may be silent before it is lost.
_REPORT_S, _METERED_S, _SILENT_S = 1.0, 0.2, 20.0
_OPEN_S = 120.0
# Tasks that take less than this are sent in advance, so many for each task that can run at once.
_SHORT_S, _AHEAD = 0.05, 16


class Refused(Exception):
    """A worker that can't be used, and others like it neither; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTerms:
    """What workers are told: how classes share them, and for how long their processes may be idle.

    `markers` are files that the worker is asked for. `admit` takes the facts of a worker and its method that
    unpacks archives; it returns variables for the worker's processes and the folder of their output, or
    raises an error of Tidemill.
    """

    classes: Mapping[str, WorkerClass] = field(default_factory=dict)
    idle_s: float = 2.0
    markers: Collection[str] = ()
    admit: Callable[
        [Mapping[str, Any], Callable[[str, bytes | None], str]], tuple[Mapping[str, str], str]
    ]
    metered: bool = False


class ClusterWorker:
    """A worker that starts when this is made; `tell` is called from its thread.

    It is told None once the worker is ready, then each report, and at last the error with which it ended.
    """

    def __init__(
        self,
        cluster: Cluster,
        shape: WorkerShape,
        terms: WorkerTerms,
        tell: Callable[[ClusterWorker, HostReport | BaseException | None], None],
        *,
        pending_s: float,
    ) -> None:
        self.shape, self.name = shape, ""
        self.is_ready = self._is_ended = False
        # The tasks it has, with the seconds that they waited before; and when those that run began.
        self.tasks: dict[str, float] = {}
        self.begun: dict[str, float] = {}
        self.usages: Mapping[str, TaskUsage] = {}
        self.cpu_s = 0.0
        # What its tasks take, as a moving mean; None before the first one.
        self.mean_s: float | None = None
        self.shares = ResourceShares(
            workers=shape.slots,
            cpus=shape.cpus,
            memory=shape.memory,
            gpus=shape.gpus,
            classes=terms.classes,
        )
        self._allocated: dict[str, Task] = {}
        self._ahead: dict[str, Task] = {}
        self._changed_at = self._ready_at = time.monotonic()
        self._cluster, self._terms, self._tell = cluster, terms, tell
        self._pending_s = pending_s
        # Calls to a cluster that is gone take long, so none is made in the executor's own thread.
        self._worker: WorkerConnection | None = None
        self._ender: threading.Thread | None = None
        self._numbers = count()
        self._server = threading.Thread(target=self._serve, name="tidemill-worker", daemon=True)
        self._server.start()

    def held_s(self, now: float) -> float:
        """Seconds for which it was held, once for each task that it can run at once."""
        return (now - self._ready_at) * self.shape.slots

    def idle_for(self, now: float) -> float:
        """For how many seconds it has had no task; 0 if it has one, or isn't ready."""
        return now - self._changed_at if self.is_ready and not self.tasks else 0.0

    def starting_for(self, now: float) -> float:
        """For how many seconds it has been starting; 0 once it is ready."""
        return 0.0 if self.is_ready else now - self._changed_at

    def is_old(self, now: float) -> bool:
        """Whether it gets no more tasks, because it could end before they do."""
        return 0 < self.shape.lifetime_s / 2 < now - self._ready_at and self.is_ready

    def expected_s(self, now: float) -> float | None:
        """What its tasks take, by those that ended, or by how long some run already; None if unknown."""
        running = max((now - begun for begun in self.begun.values()), default=0.0)
        return running or None if self.mean_s is None else max(self.mean_s, running)

    def has_room_ahead(self, task: Task) -> bool:
        """Whether a task may be sent although others have to end first: tasks are short, and it is small."""
        short = self.mean_s is not None and self.mean_s < _SHORT_S
        small = task.cpus <= 1 and not task.memory and not task.gpus
        return short and small and len(self._ahead) < _AHEAD * self.shape.slots

    def allocate(self, taken: QueuedTask, *, ahead: bool) -> None:
        """Reserve what a task takes; one that is sent `ahead` takes the place of another that ends."""
        self.tasks[taken.task.id] = taken.queued_s
        if ahead:
            self._ahead[taken.task.id] = taken.task
        else:
            self._allocated[taken.task.id] = taken.task
            self.shares.allocate(taken.task)

    def send(self, tasks: Sequence[QueuedTask]) -> None:
        """Send tasks without waiting."""
        self._post("run", encode([taken.task for taken in tasks]))

    def cancel(self, task: str) -> None:
        """Cancel a task without waiting."""
        self._post("cancel", task)

    def stop_over_budget(self, task: str) -> None:
        """End a task that would exceed a budget, without waiting."""
        if task in self.tasks:
            self._post("stop_over_budget", [task])

    def _post(self, method: str, argument: object) -> None:
        # If the worker or the connection is gone, the thread that awaits reports notices.
        assert self._worker is not None
        self._worker.post("command", next(self._numbers), method, argument)

    def end(self) -> None:
        """End the worker at once, with its processes, without waiting."""
        self._is_ended = True
        if self._worker is not None and self._ender is None:
            self._ender = threading.Thread(
                target=self._cluster.end, args=(self._worker,), daemon=True
            )
            self._ender.start()

    @property
    def has_ended(self) -> bool:
        """Whether no thread calls the cluster for it any more."""
        threads = [self._server, *filter(None, [self._ender])]
        return not any(thread.is_alive() for thread in threads)

    def take(self, report: HostReport) -> Iterator[TaskEvent]:
        """Take a report: release what ended tasks held; yield the events of tasks as the caller sees them."""
        self.usages, self.cpu_s = report.usages, report.cpu_s
        for event in report.events:
            queued_s = self.tasks.get(event.task)
            if queued_s is None:
                continue
            if event.fate is Fate.STARTED:
                self.begun[event.task] = time.monotonic()
            else:
                self._release(event)
            worker = f"{event.worker}@{self.name}" if event.worker else self.name
            # By the clock of this machine, as of tasks that run on it.
            yield replace(event, worker=worker, queued_s=queued_s + event.queued_s, at=time.time())

    def _release(self, event: TaskEvent) -> None:
        del self.tasks[event.task]
        self.begun.pop(event.task, None)
        self.mean_s = (
            event.wall_s if self.mean_s is None else 0.9 * self.mean_s + 0.1 * event.wall_s
        )
        self._changed_at = time.monotonic()
        self._ahead.pop(event.task, None)
        held = self._allocated.pop(event.task, None)
        if held is not None:
            self.shares.release(held)
            if self._ahead:
                name = next(iter(self._ahead))
                self._allocated[name] = self._ahead.pop(name)
                self.shares.allocate(self._allocated[name])

    def _serve(self) -> None:
        """Start the worker, and ask for reports until it ends."""
        try:
            self._worker = self._cluster.start(self.shape)
            if not self._is_ended:
                self._open(self._worker)
                self._tell(self, None)
            wait_s = _METERED_S if self._terms.metered else _REPORT_S
            while not self._is_ended:
                data = self._worker.call("poll", wait_s, timeout_s=_SILENT_S)
                self._tell(self, report_decoder.decode(data))
        # Whatever a cluster raises, the executor has to know.
        except Exception as error:  # noqa: BLE001
            if not self._is_ended:
                self._tell(self, self._explain(error))
        if self._is_ended:
            self.end()

    def _open(self, worker: WorkerConnection) -> None:
        try:
            facts = worker.call("describe", [*self._terms.markers], timeout_s=self._pending_s)
        except TimeoutError:
            why = self._cluster.explain_pending(worker, self.shape, self._pending_s)
            raise Refused(why) from None

        def unpack(digest: str, data: bytes | None) -> str:
            return str(worker.call("unpack", digest, data, timeout_s=_OPEN_S))

        try:
            environment, output = self._terms.admit(facts, unpack)
        except TidemillError as error:
            raise Refused(str(error)) from error
        lane = LaneTerms(
            cpus=self.shape.cpus,
            max_workers=self.shape.slots,
            idle_s=self._terms.idle_s,
            gpus=self.shape.gpus,
            memory=self.shape.memory,
            classes=dict(self._terms.classes),
            output=output,
            metered=self._terms.metered,
        )
        worker.call("open", encode(lane), dict(environment), timeout_s=_OPEN_S)
        self.name = str(facts["address"])
        self._ready_at = self._changed_at = time.monotonic()
        self.is_ready = True

    def _explain(self, error: Exception) -> Exception:
        if isinstance(error, Refused):
            return error
        if isinstance(error, TidemillError):
            # Nothing answers at the address of the cluster any more.
            return Refused(str(error))
        if isinstance(error, TimeoutError):
            where = f"on {self.name}" if self.name else "that was starting"
            return RuntimeError(f"its worker {where} was lost: it was silent for {_SILENT_S:g} s")
        if "No module named 'tidemill" in str(error):
            return Refused(
                "a node of the cluster has no Tidemill: install the same version in the environment of "
                "its workers"
            )
        return RuntimeError(self._cluster.explain_loss(self._worker, error))
