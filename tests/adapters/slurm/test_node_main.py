"""A worker's process on a node ends when its run can't be reached, is silent or hangs up; without Slurm."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.adapters.clusters.host import LaneTerms, encode, report_decoder
from tidemill.adapters.slurm.job_connection import JobConnection
from tidemill.adapters.slurm.job_states import UNREACHABLE_CODE
from tidemill.adapters.slurm.listener import WorkerListener
from tidemill.core.python_command import python_code
from tidemill.ports.execution import Fate
from tidemill.testing.suites.executor import PATIENCE_S, task
from tidemill.testing.suites.executor_processes import wait_until_gone

TOKEN = "a" * 64
MAIN = """
import sys
from tidemill.adapters.slurm import node_main

node_main._SILENT_S = float(sys.argv[2])
node_main.main("127.0.0.1", int(sys.argv[1]))
"""


def started(port: int, *, silent_s: float = 120.0, token: str = TOKEN) -> subprocess.Popen[bytes]:
    """A worker as its job starts it, with another patience."""
    job = {"SLURM_ARRAY_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "0", "TIDEMILL_SLURM_TOKEN": token}
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        python_code(MAIN, str(port), str(silent_s)),
        env={**os.environ, **job, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def listener() -> Iterator[WorkerListener]:
    found = WorkerListener("127.0.0.1", TOKEN)
    yield found
    found.close()


def test_a_run_that_cant_be_reached_is_told_by_the_exit_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert started(port).wait(PATIENCE_S) == UNREACHABLE_CODE


def test_a_run_with_another_token_is_none(listener: WorkerListener) -> None:
    assert started(listener.port, token="b" * 64).wait(PATIENCE_S) == UNREACHABLE_CODE


def test_a_worker_of_a_silent_run_ends(listener: WorkerListener) -> None:
    """As when the machine of the run is lost, which closes no connection."""
    running = started(listener.port, silent_s=0.5)
    joined = listener.wait("11_0", PATIENCE_S)
    assert joined is not None
    assert running.wait(PATIENCE_S) == 0
    joined.stream.close()


def test_a_worker_ends_with_its_tasks_when_the_run_hangs_up(
    listener: WorkerListener, tmp_path: Path
) -> None:
    running = started(listener.port)
    worker = JobConnection("11_0", listener, lambda job: None)
    terms = LaneTerms(cpus=1.0, max_workers=1, idle_s=0.2, classes={})
    worker.call("open", encode(terms), {}, timeout_s=PATIENCE_S)
    worker.post("command", 0, "run", encode([task("1", "sleep", params=b"600")]))
    [event] = report_decoder.decode(worker.call("poll", PATIENCE_S, timeout_s=PATIENCE_S)).events
    assert event.fate is Fate.STARTED
    assert worker.hang_up()
    assert running.wait(PATIENCE_S) == 0
    assert wait_until_gone(int(event.worker))
