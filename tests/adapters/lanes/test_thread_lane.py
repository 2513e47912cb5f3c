"""The thread lane passes the executor suite, and holds no idle threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tidemill.adapters.lanes.thread_lane import ThreadLane
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Fate
from tidemill.testing.suites.executor import (
    ExecutorSuite,
    final_events,
    keep_busy,
    run_tasks,
    task,
    wait_until_started,
)
from tidemill.testing.suites.executor_sharing import events_until_ended


@pytest.fixture
def executor() -> Iterator[ThreadLane]:
    with ThreadLane(max_workers=2, idle_s=0.3) as lane:
        yield lane


class TestThreadLane(ExecutorSuite):
    pass


@pytest.mark.parametrize("limit", [{"timeout_s": 1.0}, {"memory": 10}, {"gpus": 1}])
def test_limits_that_it_cannot_enforce_are_rejected(
    executor: ThreadLane, limit: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="a task in this process can't"):
        executor.submit(task("one", **limit))


@pytest.mark.parametrize(("most", "idle_s"), [(0, 1.0), (1, -1.0)])
def test_a_lane_without_workers_is_rejected(most: int, idle_s: float) -> None:
    with pytest.raises(UsageError, match="does nothing"):
        ThreadLane(max_workers=most, idle_s=idle_s)


def test_threads_come_with_tasks_and_go_when_idle(executor: ThreadLane, tmp_path: Path) -> None:
    before = {*threading.enumerate()}
    many = [f"{number} of many" for number in range(6)]
    with keep_busy(executor, tmp_path / "gate", "1"):
        assert executor.capacity().live == 1
        with keep_busy(executor, tmp_path / "other", "2"):
            for name in many:
                executor.submit(task(name, "sleep", params=b"0.05"))
            held = executor.capacity()
            assert (held.live, held.waiting, held.max_workers) == (2, 6, 2)
    final_events(executor, ["1", "2", *many])
    assert executor.capacity().waiting == 0
    until(lambda: not executor.capacity().live)
    held = executor.capacity()
    # Threads of other tests may end meanwhile.
    assert (held.live, held.busy, {*threading.enumerate()} - before) == (0, 0, set())
    assert 0.3 <= held.busy_s <= held.held_s
    assert run_tasks(executor, task("again"))[0].fate is Fate.OK


def test_a_running_task_continues_when_cancelled(executor: ThreadLane) -> None:
    executor.submit(task("1", "sleep", params=b"0.2"))
    wait_until_started(executor, "1")
    executor.cancel("1")
    assert final_events(executor, ["1"])["1"].fate is Fate.OK


def test_a_large_task_waits_for_room_and_runs_alone(executor: ThreadLane) -> None:
    sizes = {"1": 1, "2": 7, "3": 1}
    for name, size in sizes.items():
        executor.submit(task(name, "sleep", params=b"0.1", cpus=size))
    told = [(event.task, event.fate) for event in events_until_ended(executor, sizes)]
    assert told == [(name, fate) for name in sizes for fate in (Fate.STARTED, Fate.OK)]


def test_a_thread_that_cannot_start_is_reported(
    executor: ThreadLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        (lost,) = run_tasks(executor, task("1"))
    assert lost.fate is Fate.LOST
    assert lost.error is not None
    assert lost.error.message == "can't start new thread"
    assert run_tasks(executor, task("2"))[0].fate is Fate.OK


def helped(params: bytes, inputs: tuple[str, ...], output: str) -> None:
    """Let another thread compute for `params` CPU seconds, and wait for it."""

    def spin() -> None:
        end = time.thread_time() + float(params)
        while time.thread_time() < end:
            pass

    helper = threading.Thread(target=spin)
    helper.start()
    helper.join()


@pytest.mark.skipif(
    not hasattr(time, "pthread_getcpuclockid"), reason="no thread here can read another's clock"
)
def test_helper_threads_count_for_the_task(executor: ThreadLane) -> None:
    one, both = task("1", "helped", params=b"0.3"), [task(n, "helped", params=b"0.2") for n in "23"]
    one, *both = (replace(each, function=f"{__name__}:helped") for each in (one, *both))
    begun = time.process_time()
    [event] = run_tasks(executor, one)
    assert 0.25 <= event.cpu_s <= time.process_time() - begun
    begun = time.process_time()
    found = sum(event.cpu_s for event in run_tasks(executor, *both))
    assert 0.35 <= found <= time.process_time() - begun

    # What the thread that made the lane takes meanwhile isn't for the task.
    executor.submit(task("4", "sleep", params=b"0.4"))
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass
    assert final_events(executor, ["4"])["4"].cpu_s < 0.15
