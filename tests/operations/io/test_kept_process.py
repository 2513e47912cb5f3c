"""A process that is there until it is no longer wanted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.waiting import until
from tidemill.operations.io import kept_process
from tidemill.operations.io.kept_process import KeptProcess

CODE = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kept_example.py").write_text(CODE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return tmp_path / "log"


def started(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_it_is_started_again_and_ended(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_process, "_FIRST_S", 0.0)
    kept = KeptProcess("kept_example", str(log))
    try:
        until(lambda: len(started(log)) == 1)
        os.kill(started(log)[0], signal.SIGKILL)
        until(lambda: len(started(log)) == 2)
    finally:
        kept.close()
    for pid in started(log):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_cant_be_started_is_tried_later(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refuse(*_: str) -> None:
        tried.append(1)
        raise OSError("no process can be started")

    monkeypatch.setattr(kept_process, "_FIRST_S", 0.0)
    monkeypatch.setattr(kept_process, "SupervisedProcess", refuse)
    kept = KeptProcess("kept_example", str(log))
    until(lambda: len(tried) > 1)
    kept.close()
