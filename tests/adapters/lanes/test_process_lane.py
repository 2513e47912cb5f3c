"""The process lane passes the executor suites, and holds no idle resources."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tidemill.adapters.lanes import task_call as making
from tidemill.adapters.lanes.exit_causes import count_oom_kills
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.adapters.lanes.worker_process import WorkerProcess
from tidemill.adapters.lanes.worker_protocol import TaskCall
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Fate, TaskUsage
from tidemill.testing.suites.executor import final_events, run_tasks, task, wait_until_started
from tidemill.testing.suites.executor_processes import ProcessesSuite
from tidemill.testing.suites.executor_sharing import (
    CLASSES,
    SharingSuite,
    events_until_ended,
    max_concurrent,
)


@pytest.fixture
def executor() -> Iterator[ProcessLane]:
    with ProcessLane(max_workers=2, idle_s=0.3, gpus=2, classes=CLASSES) as lane:
        yield lane


SOAK = settings().max_examples > 1_000


class TestProcessLane(ProcessesSuite):
    tasks_and_kills = (1_000, 200) if SOAK else ProcessesSuite.tasks_and_kills


class TestSharing(SharingSuite):
    task_count = 1_000 if SOAK else SharingSuite.task_count


def test_a_worker_that_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tidemill.adapters.lanes.worker_process.WORKER_MODULE", "tidemill.no_such_worker"
    )
    with ProcessLane(max_workers=1) as lane:
        first, second = run_tasks(lane, task("1"), task("2"))
    assert {first.fate, second.fate} == {Fate.LOST}
    assert first.error is not None
    assert first.error.type == "WorkerStart"
    assert "No module named 'tidemill.no_such_worker'" in first.error.message


@pytest.mark.parametrize(("most", "idle_s"), [(0, 1.0), (1, -1.0)])
def test_a_lane_without_workers_is_rejected(most: int, idle_s: float) -> None:
    with pytest.raises(UsageError, match="does nothing"):
        ProcessLane(max_workers=most, idle_s=idle_s)


@pytest.mark.parametrize("limits", [{"cpus": 0.0}, {"memory": -1}, {"gpus": -1}])
def test_a_lane_with_impossible_limits_is_rejected(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ProcessLane(max_workers=1, **limits)


def test_devices_are_those_visible_to_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5")
    with ProcessLane(max_workers=1, gpus=2) as lane:
        assert run_tasks(lane, task("1", "devices", params=b"0", gpus=2))[0].result == b"3,GPU-5"
    with pytest.raises(UsageError, match="names 2 devices"):
        ProcessLane(gpus=3)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [({}, b"1000"), ({"GOMP_SPINCOUNT": "7"}, b"7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, b"")],
)
def test_threads_of_workers_spin_briefly_unless_the_user_chose(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], count: bytes
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with ProcessLane(max_workers=1) as lane:
        [event] = run_tasks(lane, task("1", "environment", params=b"GOMP_SPINCOUNT"))
    assert event.result == count


def test_caps_of_all_tasks_stay_in_the_lane_budget(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    with ProcessLane(max_workers=3, memory=100_000_000) as lane:
        lane.submit(task("0", "linger", params=bytes(gate)))
        for number in range(1, 4):
            lane.submit(task(str(number), "sleep", params=b"0.2", memory=60_000_000))
        events = events_until_ended(lane, "123")
        gate.unlink()
        events += events_until_ended(lane, "0")
    assert max_concurrent(events) == 2
    assert max_concurrent(event for event in events if event.task != "0") == 1


def test_a_worker_is_ready_before_anything_heavy_is_imported(executor: ProcessLane) -> None:
    (event,) = run_tasks(executor, task("1", "imported", params=b"numpy polars tidemill"))
    assert event.result == b"tidemill"


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="CPU time isn't divided between sessions here"
)
def test_workers_that_give_way_do_so_to_other_sessions(executor: ProcessLane) -> None:
    nice, usual = (
        int(event.result)
        for event in run_tasks(
            executor, task("1", "process_id", worker_class="nice"), task("2", "process_id")
        )
    )
    assert os.getsid(nice) == nice
    assert (
        Path(f"/proc/{nice}/autogroup").read_text().endswith(f" nice {CLASSES['nice'].niceness}\n")
    )
    # The others share the session, and so its CPU time, with this process.
    assert os.getsid(usual) == os.getsid(0)


def test_a_task_that_cannot_be_sent_is_rejected(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="can't be sent"):
        executor.submit(task("1", inputs=(os.fsdecode(b"\xff"),)))
    monkeypatch.setattr("tidemill.adapters.lanes.worker_protocol.MAX_MESSAGE_BYTES", 100)
    with pytest.raises(UsageError, match="in inputs"):
        executor.submit(task("2", params=bytes(200)))
    assert run_tasks(executor, task("3"))[0].fate is Fate.OK


def test_a_worker_that_is_never_ready_is_given_up(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sleeps = "import time\nif __name__ == '__main__':\n    time.sleep(600)\n"
    (tmp_path / "never_ready.py").write_text(sleeps)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        patch.setattr("tidemill.adapters.lanes.worker_process.WORKER_MODULE", "never_ready")
        patch.setattr("tidemill.adapters.lanes.worker_pool._START_TIMEOUT_S", 0.1)
        (lost,) = run_tasks(executor, task("1"))
    assert lost.fate is Fate.LOST
    assert lost.error is not None
    assert lost.error.type == "WorkerStart"
    assert run_tasks(executor, task("2"))[0].fate is Fate.OK


def test_killing_workers_before_they_are_ready_loses_no_task(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, killed = WorkerProcess.__init__, list[str]()

    def start(worker: WorkerProcess, *given: Any, **named: Any) -> None:
        real(worker, *given, **named)
        if len(killed) < 8:
            killed.append(worker.name)
            os.kill(int(worker.name), signal.SIGKILL)

    monkeypatch.setattr(WorkerProcess, "__init__", start)
    assert run_tasks(executor, task("1"))[0].fate is Fate.OK
    assert len(killed) == 8


def test_a_process_that_the_system_cannot_start_is_reported(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", refuse)
        (lost,) = run_tasks(executor, task("1"))
    assert lost.error is not None
    assert lost.error.message == "no worker can be started: no more processes"
    assert run_tasks(executor, task("2"))[0].fate is Fate.OK


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_supervisor_ends_all_tasks(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2", "3"):
        executor.submit(task(name, "sleep", params=b"600"))
    wait_until_started(executor, "1", "2")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("of the lane")

    monkeypatch.setattr("tidemill.adapters.lanes.worker_pool.WorkerPool.maintain", fail)
    found = final_events(executor, ["1", "2", "3"])
    assert {found["1"].fate, found["2"].fate} <= {Fate.LOST, Fate.CANCELLED}
    assert found["3"].fate is Fate.CANCELLED
    with pytest.raises(UsageError, match="closed"):
        executor.submit(task("4"))


def test_without_proc_only_the_all_time_peak_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    call = TaskCall("1", "tidemill.testing.suites.executor_tasks:sleep", b"0.01", (), "")
    first, second = making.call_task(call, {}), making.call_task(call, {})
    assert first.peak_rss > 1_000_000
    # It didn't grow: how much of it this task held, nobody knows.
    assert second.peak_rss == 0


def test_without_proc_no_memory_cap_is_enforced(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text = Path.read_text

    def refuse(path: Path, *given: Any) -> str:
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return read_text(path, *given)

    monkeypatch.setattr(Path, "read_text", refuse)
    (event,) = run_tasks(executor, task("1", "hold", params=b"30000000", memory=1))
    assert event.fate is Fate.OK


def test_a_kill_by_the_system_is_reported_as_out_of_memory(
    executor: ProcessLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than the machine has had until now.
    kills = itertools.count(count_oom_kills() + 1)
    monkeypatch.setattr("tidemill.adapters.lanes.worker_pool.count_oom_kills", lambda: next(kills))
    killed, other = run_tasks(
        executor, task("1", "die", params=b"SIGKILL"), task("2", "die", params=b"SIGABRT")
    )
    assert (killed.fate, other.fate) == (Fate.OOM, Fate.LOST)
    assert killed.error is not None
    assert "the machine ran out of memory" in killed.error.message


class Meter:
    """Lets a task use so many CPU seconds, and remembers what it was told."""

    def __init__(self, most: float) -> None:
        self.most = most
        self.workers_cpu_s = 0.0
        self.seen: dict[str, TaskUsage] = {}

    def find_over(self, tasks: Mapping[str, TaskUsage], workers_cpu_s: float) -> list[str]:
        self.workers_cpu_s = max(self.workers_cpu_s, workers_cpu_s)
        self.seen |= tasks
        over = [name for name, used in tasks.items() if used.cpu_s > self.most]
        return [*over, "waiting"] if over else []


def test_a_meter_ends_running_and_waiting_tasks() -> None:
    meter = Meter(0.3)
    with ProcessLane(max_workers=1, meter=meter) as lane:
        found = {
            event.task: event
            for event in run_tasks(
                lane, task("greedy", "spin", params=b"60"), task("waiting"), task("other")
            )
        }
    assert {name: event.fate for name, event in found.items()} == {
        "greedy": Fate.BUDGET,
        "waiting": Fate.BUDGET,
        "other": Fate.OK,
    }
    assert found["greedy"].cpu_s > 0.3
    assert found["greedy"].error is not None
    assert "before a budget would be exceeded" in found["greedy"].error.message
    assert meter.seen["greedy"].peak_rss > 0
    # The start of a worker counts as well.
    assert meter.workers_cpu_s > meter.seen["greedy"].cpu_s
