"""Processes of the supervisor are started, reached and ended, with all that they start."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.supervised import is_alive
from tests.support.waiting import until
from tidemill.operations.duty import DutyTask
from tidemill.operations.io import children as module
from tidemill.operations.io.children import JobProcess, SupervisedProcess
from tidemill.operations.io.job_channel import ChildMessage, ChildOptions
from tidemill.operations.supervision import UpJob

TREE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=open(sys.argv[1], "w"), flush=True)
time.sleep(600)
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a module `tree` that starts a process, and writes its id to a file."""
    (tmp_path / "tree.py").write_text(TREE)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    return tmp_path


def grandchild(folder: Path) -> int:
    file = folder / "pid"
    until(lambda: file.exists() and file.read_text().strip())
    return int(file.read_text())


def test_what_a_process_started_ends_with_it(tree: Path) -> None:
    process = SupervisedProcess("tree", str(tree / "pid"))
    young = grandchild(tree)
    assert not process.has_ended()
    assert process.pid > 0
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    until(process.has_ended)
    assert process.describe_end() == "its process was killed by SIGTERM"
    until(lambda: not is_alive(young))
    process.send_signal(signal.SIGTERM)
    process.kill()
    process.close()


PARENT = """
import sys, time
from tidemill.operations.io.children import SupervisedProcess
process = SupervisedProcess("tree", sys.argv[1])
print(process.pid, flush=True)
time.sleep(600)
"""


def test_all_ends_with_a_parent_that_is_killed(tree: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, str(tree / "pid")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    young = grandchild(tree)
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    until(lambda: not is_alive(child) and not is_alive(young))


def test_an_exit_code_is_told() -> None:
    process = SupervisedProcess("nowhere.at.all")
    until(process.has_ended)
    assert process.describe_end() == "its process ended with exit code 1"


def test_an_unknown_signal_is_told_by_its_code() -> None:
    process = SupervisedProcess("nowhere.at.all")
    until(process.has_ended)
    process._process.returncode = -200
    assert process.describe_end() == "its process ended with exit code -200"


def test_a_process_answers_jobs_and_ends_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    options = ChildOptions(root=str(tmp_path), workflow=None, environment="prod", ledger=(1, 2))
    process = JobProcess("tests.support.up_child", options)
    said: list[ChildMessage] = []

    def hears(number: int) -> bool:
        said.extend(process.messages())
        return len(said) == number

    until(lambda: hears(1))
    process.give(UpJob(task=DutyTask.RUN, because=("so",)))
    until(lambda: hears(2))
    assert said[1].answer is not None
    assert not process.is_gone
    process.end(5.0)
    process.end(9.0)
    assert process.end_by == 5.0 + module._END_S
    until(lambda: not [*process.messages()] and process.is_gone)
    process.close()
    assert process.describe_end() == "its process ended with exit code 0"
    process.give(UpJob(task=DutyTask.RUN, because=("so",)))


def test_a_system_without_room_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("tidemill.operations.io.children.subprocess.Popen", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no more processes"):
        SupervisedProcess("nowhere")
    with pytest.raises(OSError, match="no more processes"):
        JobProcess("nowhere", {})
    assert len(os.listdir("/proc/self/fd")) == before
