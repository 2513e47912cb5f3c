"""A lane leaks no processes, files, threads or memory, and keeps its workers' output."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import until
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import Fate
from tidemill.testing.suites.executor import run_tasks, task
from tidemill.testing.suites.executor_processes import wait_until_gone

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(),
    reason="/proc tells of open files and children on Linux only",
)
needs_leash = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux kills a group when a pipe is closed"
)


@pytest.fixture
def executor() -> Iterator[ProcessLane]:
    with ProcessLane(max_workers=2, idle_s=0.3) as lane:
        yield lane


PARENT = """
import sys
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import Task

lane = ProcessLane(max_workers=1)
function, note = sys.argv[1:]
lane.submit(Task(id="1", function=f"tidemill.testing.suites.executor_tasks:{function}", params=note.encode()))
while True:
    for event in lane.events(1.0):
        print(event.worker, flush=True)
"""


@pytest.mark.parametrize(
    "function",
    [
        # It ignores all signals that it can.
        "deaf",
        # It has a process of its own.
        "child",
        # It never lets go of the interpreter, and has a process of its own.
        pytest.param("clutch", marks=needs_leash),
    ],
)
def test_nothing_outlives_a_parent_that_is_killed(function: str, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    command = [sys.executable, "-c", PARENT, function, str(note)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        if function != "deaf":
            until(lambda: _told(note), parent)
        parent.kill()
    assert wait_until_gone(worker)
    if function != "deaf":
        assert wait_until_gone(int(note.read_text()))


def _told(note: Path) -> bool:
    return note.exists() and note.read_text() != ""


NOBODY = """
import os

if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import WorkerClass
from tidemill.testing.suites.executor import run_tasks, task

with ProcessLane(max_workers=1, classes={"nice": WorkerClass(niceness=19)}) as lane:
    events = run_tasks(
        lane,
        task("1", "niceness", worker_class="nice"),
        task("2", "hoard", params=b"300000000", memory=100_000_000),
        task("3", "sleep", params=b"600", timeout_s=0.1),
        task("4", "die", params=b"SIGKILL"),
    )
print(os.geteuid(), *[event.fate for event in events])
"""


def test_a_lane_works_without_root() -> None:
    """No niceness, group or memory limit of a worker needs special rights."""
    libraries = Path(sys.base_prefix).resolve()
    closed = [path for path in (libraries, *libraries.parents) if not path.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        pytest.skip(f"this Python can be used by root only: {closed[-1]}")
    ran = subprocess.run([sys.executable, "-c", NOBODY], stdout=subprocess.PIPE, check=True)
    user, *fates = ran.stdout.decode().split()
    assert user != "0"
    assert fates == ["ok", "oom", "timeout", "lost"]


@pytest.mark.slow
@needs_proc
def test_ten_thousand_tasks_leave_nothing_behind() -> None:
    """Open files, threads and memory of the lane, and its processes: from /proc."""
    # A project that an earlier test opened may still keep a process that looks at files.
    others = _held()[3]
    with ProcessLane(max_workers=2, idle_s=0.3) as lane:
        run_tasks(lane, *(task(f"first {number}") for number in range(2_000)))
        before = _held_at_rest(lane)
        for round_ in range(10):
            functions = ["echo"] * 998 + ["vanish", "two_arguments"]
            run_tasks(
                lane,
                *(
                    task(f"{round_} {number}", function, params=bytes(1_000))
                    for number, function in enumerate(functions)
                ),
            )
        files, threads, memory, _ = _held_at_rest(lane)
        assert files <= before[0] + 2
        assert threads <= before[1]
        # 10 MB of parameters went each way.
        assert memory < before[2] + 8_000_000
    assert _held()[3] <= others
    assert "tidemill-lane" not in {thread.name for thread in threading.enumerate()}


def _held_at_rest(lane: ProcessLane) -> tuple[int, set[str], int, set[str]]:
    """What is held once no worker is left: on a busy machine some stop before the last tasks end."""
    until(lambda: lane.capacity().live == 0)
    return _held()


def _held() -> tuple[int, set[str], int, set[str]]:
    """The number of open files, the ids of threads, bytes, and the ids of children, including zombies."""
    held = Path("/proc/self")
    children = held.glob("task/*/children")
    kept = int((held / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    found = {child for path in children for child in path.read_text().split()}
    threads = {path.name for path in (held / "task").iterdir()}
    return len([*(held / "fd").iterdir()]), threads, kept, found


def test_the_last_output_of_a_lost_task_is_reported(tmp_path: Path) -> None:
    output = tmp_path / "logs" / "workers"
    with ProcessLane(max_workers=1, idle_s=600, output=output) as lane:
        assert not output.exists()
        run_tasks(lane, task("1", "shout", params=b"100"))
        lost, mute, fault = run_tasks(
            lane,
            task("2", "shout", params=b"7", inputs=("SIGKILL",)),
            task("3", "vanish"),
            task("4", "shout", params=b"3", inputs=("SIGSEGV",)),
        )
    for event in (lost, mute, fault):
        assert event.fate is Fate.LOST
    assert lost.error is not None
    assert lost.error.message == (
        "its process was ended by SIGKILL; its last output:\n"
        + "\n".join(f"line {number} \N{SNOWMAN}" for number in range(2, 7))
    )
    assert mute.error is not None
    assert mute.error.message == "its process ended with exit code 7"
    assert fault.error is not None
    assert "SIGSEGV; its last output:\nFatal Python error" in fault.error.message
    assert "in shout" in fault.error.message
    # Those who wrote nothing leave no file.
    assert {path.name for path in output.iterdir()} == {f"{lost.worker}.out", f"{fault.worker}.out"}
    assert (output / f"{lost.worker}.out").read_text().count("line") == 107


def test_megabytes_of_output_block_nothing(tmp_path: Path) -> None:
    with ProcessLane(max_workers=1, output=tmp_path) as lane:
        (event,) = run_tasks(lane, task("1", "shout", params=b"200000"))
    assert event.fate is Fate.OK
    [path] = tmp_path.iterdir()
    assert path.stat().st_size > 2_000_000


def test_output_that_cannot_be_kept_is_passed_through(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with ProcessLane(max_workers=1, output=taken) as lane:
        (event,) = run_tasks(lane, task("1", "shout", params=b"3"))
    assert event.fate is Fate.OK
    assert "line" in "".join(capfd.readouterr())
