"""A further process says why it can't serve, and ends when nobody waits for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.core.python_command import python_module
from tidemill.project.serving_worker import MODULE, WorkerStarter
from tidemill.serving.serve_settings import ServeSettings

FLOW = """
from pathlib import Path
from tests.support.serving import sales_flow
flow = sales_flow(Path("sales"))
"""


def test_a_process_that_cannot_open_the_project_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "workflow_that_vanishes.py"
    module.write_text(FLOW)
    project = tm.open(tmp_path, workflow="workflow_that_vanishes:flow")
    start = WorkerStarter(project.workspace, ServeSettings(workers=2))
    module.unlink()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process, control = start(listener)
        with control:
            assert process.wait(120) == 2
    assert "there is no module 'workflow_that_vanishes'" in capfd.readouterr().err


def test_a_process_that_gets_no_job_ends() -> None:
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, theirs:
        ours.close()
        descriptors = listener.fileno(), theirs.fileno()
        command = python_module(MODULE, *map(str, descriptors))
        done = subprocess.run(command, pass_fds=descriptors, timeout=120, check=False)
    assert done.returncode == 0


def test_a_process_that_ends_before_it_reads_its_job_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workflow_of_sales.py").write_text(FLOW)
    project = tm.open(tmp_path, workflow="workflow_of_sales:flow")
    start = WorkerStarter(project.workspace, ServeSettings(workers=2))
    started: list[subprocess.Popen[bytes]] = []

    real = subprocess.Popen

    def end_at_once(*_: object, **__: object) -> subprocess.Popen[bytes]:
        process = real([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
        process.wait()
        started.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", end_at_once)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(OSError, match=r"Broken pipe|reset"),
    ):
        start(listener)
    assert [process.returncode for process in started] == [0]
