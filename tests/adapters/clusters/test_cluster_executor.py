"""How an executor asks a cluster for workers; the cluster is this process, which any system has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tidemill.adapters.clusters import cluster_executor
from tidemill.adapters.clusters.cluster_executor import ClusterExecutor, ClusterTerms
from tidemill.adapters.clusters.cluster_worker import WorkerTerms
from tidemill.adapters.clusters.host import Host
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate
from tidemill.testing.suites.executor import PATIENCE_S, run_tasks, task


class LocalWorker:
    """A worker whose processes are those of this one, until it is lost."""

    def __init__(self) -> None:
        self.host, self.is_lost = Host(), False
        self.calls: list[str] = []

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        self.calls.append(method)
        if self.is_lost:
            raise EOFError
        return getattr(self.host, method)(*arguments)

    def post(self, method: str, *arguments: Any) -> None:
        getattr(self.host, method)(*arguments)


class LocalCluster:
    """Starts workers here, so many at most; it counts how often it is asked."""

    name = "local"

    def __init__(self, room: int = 9) -> None:
        self.room, self.asked = room, 0
        self.workers: list[LocalWorker] = []

    def describe(self, shape: WorkerShape) -> str:
        return str(shape)

    def start(self, shape: WorkerShape) -> LocalWorker:
        self.asked += 1
        if len(self.workers) >= self.room:
            raise UsageError("no more")
        self.workers.append(LocalWorker())
        return self.workers[-1]

    def end(self, worker: LocalWorker) -> None:
        worker.is_lost = True

    def explain_pending(self, worker: LocalWorker, shape: WorkerShape, waited_s: float) -> str:
        return "it waits"

    def explain_loss(self, worker: LocalWorker, error: Exception) -> str:
        return "it is lost"

    def close(self, *, idle: bool = True) -> None:
        self.room = 0


def trusting(facts: Mapping[str, Any], unpack: object) -> tuple[dict[str, str], str]:
    return {}, ""


@contextmanager
def executor_on(cluster: LocalCluster, idle: float = 30.0, **terms: Any) -> Iterator[Executor]:
    made = ClusterExecutor(
        cluster, ClusterTerms(idle_s=idle, **terms), WorkerTerms(idle_s=0.3, admit=trusting)
    )
    try:
        yield made
    finally:
        made.close()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_cluster_without_room_isnt_asked_again_at_once_while_a_worker_works() -> None:
    cluster = LocalCluster(room=1)
    with executor_on(cluster, workers=2) as executor:
        events = run_tasks(executor, *(task(str(n), "sleep", params=b"0.2") for n in range(20)))
    assert {event.fate for event in events} == {Fate.OK}
    # The tasks take 4 s or longer, and the executor looks ten times a second.
    assert 2 <= cluster.asked < 6


class QueueCluster(LocalCluster):
    """Accepts one worker, which waits in a queue for longer than others are asked for."""

    def start(self, shape: WorkerShape) -> LocalWorker:
        made = super().start(shape)
        wait_until(lambda: self.asked > 1)
        return made


def test_a_refused_worker_ends_no_task_while_another_waits_for_a_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the queue is long, and an account may submit one job."""
    monkeypatch.setattr(cluster_executor, "_SLOW_START_S", 0.2)
    cluster = QueueCluster(room=1)
    with executor_on(cluster, workers=2) as executor:
        events = run_tasks(executor, *(task(str(n)) for n in range(4)))
    assert [event.fate for event in events] == [Fate.OK] * 4


def test_a_refused_worker_ends_the_tasks_that_wait_for_it() -> None:
    with executor_on(LocalCluster(room=0)) as executor:
        (event,) = run_tasks(executor, task("1"))
    assert event.fate is Fate.ERROR
    assert event.error is not None
    assert (event.error.type, event.error.message) == ("NoWorker", "no more")


def test_a_worker_gets_no_task_in_the_second_half_of_its_time() -> None:
    cluster = LocalCluster()
    with executor_on(cluster, default=WorkerShape(lifetime_s=2.0)) as executor:
        run_tasks(executor, task("1"))
        wait_until(lambda: cluster.workers[0].is_lost)
        assert run_tasks(executor, task("2"))[0].fate is Fate.OK
    assert cluster.asked == 2


def test_a_lost_worker_loses_its_task_with_the_reason_of_the_cluster() -> None:
    cluster = LocalCluster()
    with executor_on(cluster) as executor:
        executor.submit(task("1", "sleep", params=b"600"))
        wait_until(lambda: any(e.fate is Fate.STARTED for e in executor.events(0.1)))
        cluster.workers[0].is_lost = True
        wait_until(lambda: any(_is_lost(e) for e in executor.events(0.1)))


def _is_lost(event: Any) -> bool:
    return event.fate is Fate.LOST and event.error.message == "it is lost"


@pytest.mark.parametrize("limit", [{"gpus": 1}, {"memory": 2_000_000_000}])
def test_what_no_worker_has_is_refused_with_the_table_to_change(limit: dict[str, Any]) -> None:
    shape = WorkerShape(memory=1_000_000_000)
    says = r"in \[tool\.tidemill\.local\], or for the class"
    with (
        executor_on(LocalCluster(), default=shape) as executor,
        pytest.raises(UsageError, match=says),
    ):
        executor.submit(task("1", **limit))


class SlowCluster(LocalCluster):
    """Takes a while to answer, in which workers may become unwanted."""

    def start(self, shape: WorkerShape) -> LocalWorker:
        time.sleep(1.0)
        return super().start(shape)


def test_a_worker_that_became_unwanted_while_it_was_asked_for_is_ended() -> None:
    cluster = SlowCluster()
    with executor_on(cluster, idle=0.1) as executor:
        executor.submit(task("1"))
        wait_until(lambda: executor.capacity().live == 1)
        executor.cancel("1")
        wait_until(lambda: executor.capacity().live == 0)
        wait_until(lambda: len(cluster.workers) == 1 and cluster.workers[0].is_lost)
    # It isn't even awaited, which could take as long as its node.
    assert cluster.workers[0].calls == []
