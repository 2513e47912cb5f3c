"""Start further processes of a server, as many as are wanted, replace those that end, and drain them."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.io.worker_channel import WorkerChannel
from tidemill.serving.process_table import ProcessTable
from tidemill.serving.worker_messages import ServerView, WorkerReport
from tidemill.serving.worker_scaling import ProcessLoad, WorkerScaling, surplus_connections

LOOK_EVERY_S = 1.0
# Seconds that the other processes have to load a version before it answers in the first.
PREPARE_S = 10.0
# Seconds until a process that ended is replaced, at first and at most; it doubles with each that ends young.
_RETRY_S = 0.5
_MOST_RETRY_S = 60.0
_YOUNG_S = 60.0
# A process that says nothing for so many seconds is replaced.
_SILENT_S = 120.0
# Seconds that a process has to end after it closed its end of the channel.
_END_S = 5.0

_log = logging.getLogger("tidemill.serving")

# Starts a process that serves a listening socket; the process, and the socket that it is reached by.
StartWorker: TypeAlias = Callable[[socket.socket], tuple[subprocess.Popen[bytes], socket.socket]]


class PoolOwner(Protocol):
    """The first process, as the pool of the others needs it."""

    def read_load(self) -> ProcessLoad:
        """How busy it was since the last call."""

    def close_connections(self, count: int) -> None:
        """Have so many of its callers connect again."""

    def share_rates(self, processes: int) -> None:
        """Allow callers this process' share of their rates."""

    def view_for(self, process: int) -> ServerView:
        """What another process is to know and do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPoolLimits:
    """At most so many processes; see `WorkerScaling`. One that is released has `drain_s` to end."""

    most: int
    release_s: float
    drain_s: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    channel: WorkerChannel[WorkerReport]
    since: float
    heard: float
    report: WorkerReport | None = None
    closing: int = 0
    drains: bool = False

    @property
    def answers(self) -> bool:
        """Whether it answers, and stays."""
        return self.report is not None and not self.drains


class ServingPool:
    """The further processes of a server. `fault` says why one ended; "" since others answer again."""

    def __init__(
        self, limits: ServingPoolLimits, start: StartWorker, owner: PoolOwner, table: ProcessTable
    ) -> None:
        self.fault = ""
        self.preparing: dict[str, tuple[str, ...]] = {}
        self._limits = limits
        self._start = start
        self._owner = owner
        self._table = table
        self._scaling = WorkerScaling(most=limits.most, release_s=limits.release_s)
        self._workers: list[_Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = self._failures = 0
        self._not_before = 0.0
        self._reported = asyncio.Event()
        self._listener: socket.socket | None = None
        self._closed: asyncio.Task[None] | None = None

    def open(self, listener: socket.socket) -> None:
        """Let processes serve a listening socket from now on."""
        # A descriptor of its own: the event loop closes the other when it likes.
        self._listener = listener.dup()

    async def run(self) -> None:
        """Look every second how many processes are needed, until this task is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._closed is None:
                self._look()
                self.broadcast()

    def broadcast(self) -> None:
        """Let all processes know what is new now."""
        self._owner.share_rates(1 + self.answering)
        for worker in self._workers:
            self._send(worker)

    @property
    def answering(self) -> int:
        """The number of processes that answer, beside the first."""
        return sum(worker.answers for worker in self._workers)

    async def prepare(self, endpoint: str, versions: Sequence[str]) -> bool:
        """Wait until all processes have loaded versions; return whether it waited.

        A process that takes too long follows later: it answers with the version before until then.
        """
        if not self._lacking(endpoint, versions):
            return False
        self.preparing[endpoint] = tuple(versions)
        self.broadcast()
        try:
            async with asyncio.timeout(PREPARE_S):
                while self._lacking(endpoint, versions):
                    await self._reported.wait()
        except TimeoutError:
            late = [worker.process.pid for worker in self._lacking(endpoint, versions)]
            _log.warning("%s: processes %s haven't loaded the new version yet", endpoint, late)
        finally:
            del self.preparing[endpoint]
        return True

    async def close(self) -> None:
        """Drain all processes, and end those that don't in time."""
        if self._closed is None:
            self._closed = asyncio.create_task(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for worker in self._workers:
            worker.drains = True
        self.broadcast()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.drain_s)
        for worker in self._workers:
            _log.error("process %d doesn't end in time and is killed", worker.process.pid)
            worker.process.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lacking(self, endpoint: str, versions: Sequence[str]) -> list[_Worker]:
        return [
            worker
            for worker in self._workers
            if worker.report is not None
            and worker.answers
            and not set(versions) <= {*worker.report.held.get(endpoint, ())}
        ]

    def _look(self) -> None:
        now = time.monotonic()
        answering = [worker for worker in self._workers if worker.answers]
        reported = [worker.report.load for worker in answering if worker.report is not None]
        loads = [self._owner.read_load(), *reported]
        self._scaling = self._scaling.observe(loads, now)
        own, *theirs = surplus_connections(loads)
        self._owner.close_connections(own)
        for worker, count in zip(answering, theirs, strict=True):
            worker.closing = count
        self._kill_silent(now)
        kept = [worker for worker in self._workers if not worker.drains]
        wanted = self._scaling.wanted - 1
        if len(kept) + self._starting < wanted and now >= self._not_before:
            self._starting += 1
            task = asyncio.create_task(self._employ())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for worker in kept[wanted:]:
            worker.drains = True
            _log.info("process %d is released", worker.process.pid)

    def _kill_silent(self, now: float) -> None:
        for worker in self._workers:
            if now - worker.heard > _SILENT_S:
                _log.error("process %d hangs and is killed", worker.process.pid)
                worker.process.kill()

    async def _employ(self) -> None:
        """Start a process, and listen to it until it has ended."""
        assert self._listener is not None
        try:
            process, control = await asyncio.to_thread(self._start, self._listener)
            channel = await WorkerChannel.open(control, WorkerReport)
        except OSError as error:
            self._note_failure(f"no further process could be started: {error}", 0.0)
            return
        finally:
            self._starting -= 1
        now = time.monotonic()
        worker = _Worker(process=process, channel=channel, since=now, heard=now)
        worker.drains = self._closed is not None
        self._workers.append(worker)
        self._send(worker)
        await self._listen(worker)
        self._workers.remove(worker)
        self._table.end(process.pid)
        self._wake_waiting()
        self.broadcast()
        await channel.close()
        code = await asyncio.to_thread(_wait, process)
        if not worker.drains:
            age = time.monotonic() - worker.since
            self._note_failure(f"process {process.pid} ended with {code}", age)

    async def _listen(self, worker: _Worker) -> None:
        while (report := await worker.channel.receive()) is not None:
            is_first = worker.report is None
            worker.report, worker.heard = report, time.monotonic()
            self._table.report(worker.process.pid, report)
            self._wake_waiting()
            if is_first:
                took = time.monotonic() - worker.since
                _log.info("process %d answers after %.2f s", worker.process.pid, took)
                self.fault = ""
                self.broadcast()

    def _wake_waiting(self) -> None:
        """Let those look that wait for what processes have loaded."""
        self._reported.set()
        self._reported = asyncio.Event()

    def _send(self, worker: _Worker) -> None:
        view = self._owner.view_for(worker.process.pid)
        worker.channel.send(replace(view, close_connections=worker.closing, drain=worker.drains))
        worker.closing = 0

    def _note_failure(self, text: str, age: float) -> None:
        _log.error("%s", text)
        self.fault = text
        self._failures = self._failures + 1 if age < _YOUNG_S else 0
        delay = min(_MOST_RETRY_S, _RETRY_S * 2 ** min(self._failures, 10))
        self._not_before = time.monotonic() + delay


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that ends now."""
    try:
        return process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
