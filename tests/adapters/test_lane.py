"""The process lane keeps what engines promise, and holds nothing that it doesn't need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.adapters.local.causes import cause
from tidemill.adapters.local.lane import ProcessLane
from tidemill.domain.errors import UsageError
from tidemill.domain.task import Fate
from tidemill.testing.executor_suite import ProcessesSuite, done, is_gone, task


@pytest.fixture
def executor() -> Iterator[ProcessLane]:
    with ProcessLane(max_workers=2, idle_s=0.3) as lane:
        yield lane


class TestProcessLane(ProcessesSuite):
    pass


def test_that_no_worker_can_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.adapters.local.process.MODULE", "tidemill.no_such_worker")
    with ProcessLane(max_workers=1) as lane:
        first, second = done(lane, task("1"), task("2"))
    assert {first.fate, second.fate} == {Fate.LOST}
    assert first.error is not None
    assert first.error.type == "WorkerStart"
    assert "No module named 'tidemill.no_such_worker'" in first.error.message


@pytest.mark.parametrize(("most", "idle_s"), [(0, 1.0), (1, -1.0)])
def test_a_lane_that_can_do_nothing_is_refused(most: int, idle_s: float) -> None:
    with pytest.raises(UsageError, match="does nothing"):
        ProcessLane(max_workers=most, idle_s=idle_s)


PARENT = """
from tidemill.adapters.local.lane import ProcessLane
from tidemill.domain.task import Task

lane = ProcessLane(max_workers=1)
lane.submit(Task(id="1", function="tidemill.testing.tasks:deaf"))
while True:
    for event in lane.events(1.0):
        print(event.worker, flush=True)
"""


def test_no_worker_outlives_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    assert is_gone(worker)


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="/proc tells open files on Linux only"
)
def test_nothing_is_left_open(executor: ProcessLane) -> None:
    done(executor, task("first"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(10):
        done(executor, task(str(number), "vanish" if number % 2 else "echo"))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


@pytest.mark.parametrize(
    ("code", "says"),
    [(3, "exit code 3"), (-9, "SIGKILL"), (-200, "signal 200")],
)
def test_how_a_process_ended(code: int, says: str) -> None:
    assert says in cause(code)
