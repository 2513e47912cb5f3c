"""A pool replaces processes that end, waits longer each time, and kills those that don't end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tidemill.serving import worker_scaling
from tidemill.serving.counters import Snapshot
from tidemill.serving.io import serving_pool
from tidemill.serving.io.serving_pool import ServingPool, ServingPoolLimits
from tidemill.serving.io.worker_channel import packed
from tidemill.serving.process_table import ProcessTable
from tidemill.serving.worker_messages import ServerView, WorkerReport
from tidemill.serving.worker_scaling import ProcessLoad

REPORT = packed(
    WorkerReport(load=ProcessLoad(busy=0.0), snapshot=Snapshot(), held={"demand": ("v1",)})
)


class Owner:
    """A first process that has nothing to do."""

    def __init__(self) -> None:
        self.closed: list[int] = []
        self.shares: list[int] = []

    def read_load(self) -> ProcessLoad:
        return ProcessLoad(busy=0.9, connections=4)

    def close_connections(self, count: int) -> None:
        self.closed.append(count)

    def share_rates(self, processes: int) -> None:
        self.shares.append(processes)

    def view_for(self, process: int) -> ServerView:
        return ServerView()


class Starter:
    """Starts processes that run a text, and sends reports in their name."""

    def __init__(self, code: str = "import time; time.sleep(600)", *, reports: bool = True) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.failing: Exception | None = None
        self._code = code
        self._reports = reports

    def __call__(self, listener: socket.socket) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self.failing is not None:
            raise self.failing
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", self._code], pass_fds=[theirs.fileno()]
            )
            self.started.append(process)
            if self._reports:
                theirs.sendall(REPORT)
        return process, ours


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_pool, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(serving_pool, "_RETRY_S", 0.001)
    monkeypatch.setattr(worker_scaling, "BUSY", 0.0)
    monkeypatch.setattr(worker_scaling, "ROOM", -1.0)


def run_pool(
    starter: Starter, scenario: Callable[[ServingPool], object], *, drain_s: float = 0.1
) -> tuple[ServingPool, Owner, ProcessTable]:
    """Run a pool until a scenario (a coroutine function) is over, and close it."""
    owner, table = Owner(), ProcessTable()

    async def run() -> ServingPool:
        limits = ServingPoolLimits(most=2, release_s=0.0, drain_s=drain_s)
        pool = ServingPool(limits, starter, owner, table)
        # Grows at once.
        pool._scaling = worker_scaling.WorkerScaling(most=2, grow_s=0.0)
        with listening() as listener:
            pool.open(listener)
            looking = asyncio.create_task(pool.run())
            await scenario(pool)  # type: ignore[misc]
            await pool.close()
            await pool.close()
            looking.cancel()
        return pool

    return asyncio.run(run()), owner, table


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


async def passes(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not happened():
            await asyncio.sleep(0.005)


def test_a_process_that_does_not_end_is_killed() -> None:
    starter = Starter()

    async def scenario(pool: ServingPool) -> None:
        await passes(lambda: pool.answering == 1)
        pool.broadcast()

    pool, owner, table = run_pool(starter, scenario)
    assert [process.returncode for process in starter.started] == [-9]
    assert (pool.answering, pool.fault, table.reports) == (0, "", {})
    assert {1, 2} <= {*owner.shares}


def test_a_process_that_ends_by_itself_is_replaced() -> None:
    starter = Starter("raise SystemExit(3)", reports=False)

    async def scenario(pool: ServingPool) -> None:
        await passes(lambda: len(starter.started) >= 3)

    pool, _, _ = run_pool(starter, scenario, drain_s=60.0)
    assert "ended with 3" in pool.fault
    assert {process.returncode for process in starter.started} == {3}


def test_a_process_that_says_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_pool, "_SILENT_S", 0.0)
    starter = Starter()

    async def scenario(pool: ServingPool) -> None:
        await passes(lambda: len(starter.started) >= 2)

    run_pool(starter, scenario)
    assert starter.started[0].returncode == -9


def test_the_server_goes_on_where_no_process_can_be_started() -> None:
    starter = Starter()
    starter.failing = OSError("no memory")

    async def scenario(pool: ServingPool) -> None:
        await passes(lambda: "no memory" in pool.fault)
        starter.failing = None
        await passes(lambda: pool.answering == 1)
        assert pool.fault == ""

    run_pool(starter, scenario)


def test_versions_that_all_have_need_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_pool, "PREPARE_S", 0.01)
    waited: list[bool] = []

    async def scenario(pool: ServingPool) -> None:
        waited.append(await pool.prepare("demand", ["v2"]))
        await passes(lambda: pool.answering == 1)
        waited.append(await pool.prepare("demand", ["v1"]))
        # Nobody loads this one: the first process goes on alone.
        waited.append(await pool.prepare("demand", ["v1", "v2"]))
        assert pool.preparing == {}

    run_pool(Starter(), scenario)
    assert waited == [False, False, True]


def test_a_full_process_lets_callers_go_while_others_have_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(pool: ServingPool) -> None:
        await passes(lambda: pool.answering == 1)
        monkeypatch.setattr(worker_scaling, "BUSY", 0.5)
        owner.closed.clear()
        await passes(lambda: 1 in owner.closed)

    starter = Starter()
    owner = Owner()
    monkeypatch.setattr(f"{__name__}.Owner", lambda: owner)
    run_pool(starter, scenario)
