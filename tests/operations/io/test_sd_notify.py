"""systemd is told what it asks for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tidemill.operations.io.sd_notify import SystemdNotifier


def test_states_arrive_at_a_real_socket(tmp_path: Path) -> None:
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(place))
        notifier = SystemdNotifier({"NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "120000000"})
        assert notifier.watchdog_s == 60.0
        notifier.send(READY="1", STATUS="working on\nbakery")
        assert receiver.recv(1000) == b"READY=1\nSTATUS=working on bakery"
    # It has restarted, or is gone.
    notifier.send(WATCHDOG="1")


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux has abstract sockets")
def test_an_abstract_socket_is_one_without_a_file() -> None:
    name = f"tidemill-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).send(STOPPING="1")
        assert receiver.recv(1000) == b"STOPPING=1"


def test_outside_of_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "often")
    notifier = SystemdNotifier.of_process()
    assert notifier.watchdog_s is None
    notifier.send(READY="1")
    # Children must not speak for this process.
    assert "NOTIFY_SOCKET" not in os.environ
    SystemdNotifier({}).send(READY="1")
