"""A heartbeat arrives, or its failure is told without its address."""

from __future__ import annotations

import pytest

from tests.support.notice_servers import hook
from tidemill.notices.channel_settings import Channel, ChannelKind
from tidemill.notices.io import heartbeat
from tidemill.notices.io.heartbeat import send_heartbeat

# As long as the threads live, nothing waits for so long.
LONG = 3_600.0


def channel(address: str) -> Channel:
    return Channel(name="heartbeat", kind=ChannelKind.WEBHOOK, address=address)


def test_it_asks_for_the_address() -> None:
    with hook() as server:
        assert send_heartbeat(channel(server.address), LONG) == ""
    [(path, headers, body)] = server.got
    assert (path, headers["User-Agent"], body) == ("/hook?key=secret-key", "tidemill", b"")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_isnt_ok(status: int) -> None:
    with hook(status) as server:
        found = send_heartbeat(channel(server.address), LONG)
    assert found == f"it answered with status {status}"
    assert len(server.got) == 1


def test_a_server_that_hangs_or_isnt_there() -> None:
    with hook(opened=False) as server:
        assert send_heartbeat(channel(server.address), 0.0) == "it didn't answer in time"
    assert send_heartbeat(channel("http://127.0.0.1:1/secret"), LONG).startswith("it refused")
    assert "isn't set" in send_heartbeat(channel("NO_SUCH_VARIABLE"), LONG)


def test_a_bug_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Channel) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(heartbeat, "get_address", fail)
    assert send_heartbeat(channel("X"), LONG) == "it failed with RuntimeError"
