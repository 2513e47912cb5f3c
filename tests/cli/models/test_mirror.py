"""`tidemill models mirror` says what it did, and what is wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.tracking_servers import MemoryServer
from tests.support.waiting import PATIENCE_S


def configure(project: Path) -> None:
    file = project / "pyproject.toml"
    line = 'tracking_uri = "http://127.0.0.1:9"'
    file.write_text(f"{file.read_text()}\n[tool.tidemill.mlflow]\n{line}\n")


def test_what_was_done_and_what_was_refused(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tidemill("models", "mirror")
    assert (ended.code, "set tracking_uri" in ended.err) == (2, True)
    configure(built)
    ended = tidemill("models", "mirror")
    assert (ended.code, "http://127.0.0.1:9 can't be reached" in ended.err) == (1, True)
    server = MemoryServer()
    monkeypatch.setattr("tidemill.project.mlflow.open_server", lambda *_, **__: server)
    server.refused = {"tidemill.recipe"}
    ended = tidemill("models", "mirror")
    assert ended.code == 1
    assert "tidemill.recipe is refused" in ended.out
    server.refused = set()
    assert tidemill("models", "mirror").out == "0 versions made, 1 changed, aliases moved: 1\n"
    found = tidemill("models", "mirror", "--json")
    assert (found.code, found.document) == (
        0,
        {
            "schema": "tidemill.models_mirror/1",
            "made": 0,
            "changed": 0,
            "moved": 0,
            "faults": [],
        },
    )


def test_a_rollback_that_cant_be_shown_is_made(built: Path) -> None:
    configure(built)
    moved = tidemill("deliver", "demand", "live")
    assert moved.code == 0
    assert "MLflow: what changed waits (http://127.0.0.1:9 can't be reached" in moved.out


def test_a_mirror_that_was_killed_holds_no_other_up(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(built)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        file = built / "pyproject.toml"
        file.write_text(file.read_text().replace("http://127.0.0.1:9", uri))
        command = [sys.executable, "-m", "tidemill", "models", "mirror"]
        with subprocess.Popen(command, cwd=built, stdout=subprocess.DEVNULL) as process:
            # It has the lease, and waits for an answer.
            silent.settimeout(PATIENCE_S)
            with silent.accept()[0]:
                process.kill()
                process.wait()
    server = MemoryServer()
    monkeypatch.setattr("tidemill.project.mlflow.open_server", lambda *_, **__: server)
    assert tidemill("models", "mirror").out.startswith("1 version made, ")
