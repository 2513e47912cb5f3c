"""Events by HTTP: one connection, keys and compression, what is tried again and what isn't."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.openlineage.server import LineageServer, lineage_server
from tidemill.adapters.openlineage.http_transport import HttpTransport
from tidemill.core.errors import SendError

EVENT = b'{"n":1}'


@pytest.fixture
def server() -> Iterator[LineageServer]:
    with lineage_server(check=lambda event: []) as found:
        yield found


def transport(url: str, **options: object) -> HttpTransport:
    return HttpTransport(f"{url}/api/v1/lineage?v=1", pauses=(0.0, 0.0), **options)  # type: ignore[arg-type]


def test_events_go_over_one_connection_with_a_key(server: LineageServer) -> None:
    sending = transport(server.url, api_key="s3cret", agent="tidemill/1")
    for _ in range(3):
        sending.send(EVENT)
    sending.close()
    assert server.bodies == [EVENT] * 3
    assert server.paths == ["/api/v1/lineage?v=1"] * 3
    assert len(server.connections) == 1
    sent = server.headers[0]
    assert sent["Content-Type"] == "application/json"
    assert (sent["Authorization"], sent["User-Agent"]) == ("Bearer s3cret", "tidemill/1")


def test_they_can_be_compressed(server: LineageServer) -> None:
    with closing(transport(server.url, compress=True)) as sending:
        sending.send(EVENT)
    assert server.headers[0]["Content-Encoding"] == "gzip"
    assert "Authorization" not in server.headers[0]
    assert server.bodies == [EVENT]


@pytest.mark.parametrize("answers", [[503], [500, 429]])
def test_an_overloaded_server_is_asked_again(server: LineageServer, answers: list[int]) -> None:
    server.answers = answers
    with closing(transport(server.url)) as sending:
        sending.send(EVENT)
    assert server.bodies == [EVENT]


@pytest.mark.parametrize(
    ("answers", "left"), [([502] * 9, 6), ([401, 201], 1), ([302, 201], 1), ([400, 201], 1)]
)
def test_what_is_refused_isnt_sent_for_ever(
    server: LineageServer, answers: list[int], left: int
) -> None:
    server.answers = answers[:]
    with (
        closing(transport(server.url)) as sending,
        pytest.raises(SendError, match=rf"127.0.0.1:\d+ answered {answers[0]} .*thanks") as caught,
    ):
        sending.send(EVENT)
    assert "\x1b" not in str(caught.value)
    assert (server.bodies, len(server.answers)) == ([], left)


def test_a_connection_that_was_closed_meanwhile_is_opened_again(server: LineageServer) -> None:
    with closing(transport(server.url)) as sending:
        sending.send(EVENT)
        kept = sending._connection.sock
        assert kept is not None
        kept.shutdown(socket.SHUT_RDWR)
        sending.send(EVENT)
    assert len(server.connections) == 2


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        closing(transport(f"http://127.0.0.1:{port}")) as sending,
        pytest.raises(SendError, match="refused"),
    ):
        sending.send(EVENT)


def test_a_server_that_isnt_one(server: LineageServer) -> None:
    """It speaks TLS to a server that doesn't."""
    with (
        closing(transport(server.url.replace("http:", "https:"))) as sending,
        pytest.raises(SendError, match="https://127"),
    ):
        sending.send(EVENT)


def test_one_that_doesnt_answer_is_asked_once() -> None:
    hold = threading.Event()
    with (
        lineage_server(hold=hold, check=lambda event: []) as server,
        closing(transport(server.url, timeout_s=0.05)) as sending,
    ):
        with pytest.raises(SendError, match="didn't answer in time"):
            sending.send(EVENT)
        assert len(server.connections) <= 1


def test_a_request_is_broken_off_from_another_thread() -> None:
    hold, found = threading.Event(), list[str]()

    def send() -> None:
        with pytest.raises(SendError) as caught:
            sending.send(EVENT)
        found.append(str(caught.value))

    with lineage_server(hold=hold, check=lambda event: []) as server:
        sending = transport(server.url, timeout_s=60.0)
        thread = threading.Thread(target=send)
        thread.start()
        assert server.asked.wait(60)
        sending.abort()
        thread.join(60)
        sending.close()
        assert len(found) == 1
        assert not hold.is_set()
