"""The file that lets the user of a console make links."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

import pytest

from tidemill.console import server


def test_the_secret_is_only_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "console.json"
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    planted = tmp_path / ".console.json.guessed"
    for target in ("elsewhere", ""):
        if target:
            planted.symlink_to(tmp_path / target)
        else:
            planted.touch()
        with pytest.raises(FileExistsError):
            server._write_private(file, {"secret": "s"})
        assert [*tmp_path.iterdir()] == [planted]
        planted.unlink()
    server._write_private(file, {"secret": "s"})
    assert json.loads(file.read_text()) == {"secret": "s"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["console.json"]


def test_small_answers_are_sent_at_once() -> None:
    """Only connections that are known to be of TCP don't wait for what could be sent together."""
    with server._bind_port("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
