"""Commands read the status of a running server through a socket in its home."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.serving.io import status_socket
from tidemill.serving.io.status_socket import StatusSocket, read_statuses


def serving(folder: Path, ask: Callable[[], None], *replies: bytes) -> None:
    """Ask while servers with these replies run."""

    async def main() -> None:
        sockets = [StatusSocket(folder, lambda reply=reply: reply) for reply in replies]  # type: ignore[misc]
        for each in sockets:
            await each.start()
        await asyncio.to_thread(ask)
        for each in sockets:
            await each.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["servers", "x" * 200], ids=["short", "long"])
def test_all_servers_reply_while_they_run(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "one"
    large = b"y" * 1_000_000

    def ask() -> None:
        found, faults = read_statuses(folder)
        assert (sorted(found, key=len), faults) == ([b"{}", large], [])
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

    assert read_statuses(folder) == ([], [])
    serving(folder, ask, b"{}", large)
    assert read_statuses(folder) == ([], [])
    assert [*folder.iterdir()] == []


def test_what_a_killed_server_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        monkeypatch.chdir(tmp_path)
        left.bind("1-abc.sock")
    (tmp_path / "note.txt").touch()
    assert read_statuses(tmp_path) == ([], [])
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_server_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_socket, "_PATIENCE_S", 0.01)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind("17-abc.sock")
        hanging.listen()
        assert read_statuses(tmp_path) == (
            [],
            ["the server in process 17 doesn't reply: timed out"],
        )


def test_a_folder_that_cant_be_used_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()

    def ask() -> None:
        found, faults = read_statuses(file)
        assert found == []
        assert "can't be asked" in faults[0]

    serving(file, ask, b"{}")
    assert "`tidemill endpoints` can't ask this server" in caplog.text
