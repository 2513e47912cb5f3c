"""Metrics over HTTP."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support.waiting import until
from tidemill.core.errors import StorageError, UsageError
from tidemill.operations.io import metrics_server
from tidemill.operations.io.metrics_server import MetricsServer
from tidemill.operations.metrics_access import MetricsAccess

LOCAL = MetricsAccess(host="127.0.0.1")


class Text:
    """A text that counts how often it is made."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return 'up{of="ä"} 1\n'


@pytest.fixture
def text() -> Text:
    return Text()


@pytest.fixture
def server(text: Text) -> Iterator[MetricsServer]:
    with MetricsServer(text, LOCAL, 0) as shown:
        yield shown


def place(server: MetricsServer) -> tuple[str, int]:
    parts = urlsplit(server.address)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def ask(
    server: MetricsServer, method: str = "GET", path: str = "/metrics", **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*place(server), timeout=30)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def test_it_shows_the_text(server: MetricsServer, text: Text) -> None:
    assert ask(server) == (200, 'up{of="ä"} 1\n'.encode())
    assert ask(server, "HEAD") == (200, b"")
    assert ask(server, path="/healthz") == (200, b"ok\n")
    # Readers at the same time get the same text.
    assert text.calls == 1


def test_it_refuses_the_rest(server: MetricsServer, text: Text) -> None:
    assert ask(server, "POST")[0] == 405
    assert ask(server, path="/")[0] == 404
    assert ask(server, Host="evil.example.com")[0] == 421
    assert ask(server, "BREW")[0] == 501
    assert text.calls == 0


def test_a_ledger_that_cannot_be_read(server: MetricsServer, text: Text) -> None:
    text.error = StorageError("the ledger is damaged")
    assert ask(server) == (503, b"the ledger is damaged\n")
    text.error = None
    assert ask(server)[0] == 200


def test_a_bug_is_answered_without_its_text(server: MetricsServer, text: Text) -> None:
    text.error = ValueError("secret")
    assert ask(server) == (500, b"the metrics can't be read: ValueError\n")
    assert ask(server, "HEAD") == (500, b"")
    assert ask(server, path="/healthz") == (200, b"ok\n")


def test_a_token(text: Text) -> None:
    access = MetricsAccess(host="127.0.0.1", token="secret-token")
    with MetricsServer(text, access, 0) as server:
        assert ask(server)[0] == 401
        assert ask(server, Authorization="Bearer secret-token")[0] == 200


def test_slow_callers_hold_nobody_up(text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_MOST_AT_ONCE", 3)
    with MetricsServer(text, LOCAL, 0) as server:
        slow = [socket.create_connection(place(server)) for _ in range(2)]
        for each in slow:
            each.sendall(b"GET /metrics HT")
        assert ask(server)[0] == 200
        for each in slow:
            each.close()


def test_a_caller_that_sends_byte_by_byte_is_dropped(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it sends, which is what the time of a socket starts again with."""
    monkeypatch.setattr(metrics_server, "_TIMEOUT_S", 0.0)
    with socket.create_connection(place(server)) as slow:

        def is_dropped() -> bool:
            try:
                slow.send(b"G")
            except OSError:
                return True
            return False

        until(is_dropped)


def test_callers_beyond_the_limit_are_told(text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_MOST_AT_ONCE", 1)
    with (
        MetricsServer(text, LOCAL, 0) as server,
        socket.create_connection(place(server)) as first,
        socket.create_connection(place(server), timeout=60) as second,
    ):
        first.sendall(b"GET /metrics HT")
        # It sends nothing, so that its answer isn't lost.
        assert second.recv(1_000).startswith(b"HTTP/1.1 503 ")


def test_signs_of_life_wait_for_no_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics_server, "_MOST_READERS", 1)
    goes_on, begun = threading.Event(), threading.Event()

    def slow_text() -> str:
        begun.set()
        goes_on.wait()
        return "up 1\n"

    with MetricsServer(slow_text, LOCAL, 0) as server, ThreadPoolExecutor(1) as others:
        first = others.submit(ask, server)
        begun.wait()
        assert ask(server, path="/healthz") == (200, b"ok\n")
        assert ask(server)[0] == 503
        goes_on.set()
        assert first.result() == (200, b"up 1\n")


def test_garbage_is_harmless(server: MetricsServer) -> None:
    for sent in (b"\x00\xff" * 50 + b"\r\n\r\n", b"GET " + b"a" * 70_000, b"\r\n\r\n"):
        with socket.create_connection(place(server)) as connection:
            connection.sendall(sent)
    assert ask(server)[0] == 200


def test_a_port_that_is_taken(server: MetricsServer, text: Text) -> None:
    with pytest.raises(UsageError, match="can't be shown at 127"):
        MetricsServer(text, LOCAL, place(server)[1])


def test_a_port_is_taken_over_when_it_is_free(text: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_RETRY_S", 0.01)
    with (
        MetricsServer(text, LOCAL, 0) as first,
        MetricsServer(text, LOCAL, place(first)[1], waits=True) as second,
    ):
        assert second.address == first.address
        first.close()
        until(lambda: second._server is not None)
        assert ask(second)[0] == 200


def test_waiting_for_a_port_ends(server: MetricsServer, text: Text) -> None:
    MetricsServer(text, LOCAL, place(server)[1], waits=True).close()
