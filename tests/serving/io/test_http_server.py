"""Slow, broken and silent clients, and a shutdown that loses no request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tidemill.serving.io.http_connection import ArrivedRequest, HttpLimits
from tidemill.serving.io.http_server import HttpServer, listening_socket

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


class Echo:
    """Answers requests with `reply`, after `release` is set, and keeps their paths and bodies."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.release.set()
        self.begun = threading.Event()
        self.draining = self.retired = False
        self.reads = True
        self.reply = b"echo"
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[bytes, bytes]] = []

    def retire(self) -> None:
        self.retired = True

    def drain(self) -> None:
        self.draining = True

    def note_connection(self) -> None:
        pass

    def arrival(self) -> float:
        return time.monotonic()

    def accept(self, request: ArrivedRequest) -> None:
        request.begin()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.reads and not await self._read(receive):
            return
        self.paths.append(scope["path"])
        self.headers.append(dict(scope["headers"]))
        self.begun.set()
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        headers = [(b"content-length", b"%d" % len(self.reply))]
        headers += [(b"connection", b"close")] if self.draining else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.reply})

    async def _read(self, receive: Any) -> bool:
        body, has_more = b"", True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            body, has_more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        return True


class Running:
    """A server in a thread."""

    def __init__(self, limits: HttpLimits) -> None:
        self.app = Echo()
        self.server = HttpServer(self.app, limits)
        listener = listening_socket("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(listener,))
        self.thread.start()
        assert self._started.wait(20)

    def _run(self, listener: socket.socket) -> None:
        async def serve() -> None:
            task = asyncio.create_task(self.server.serve(sockets=[listener]))
            await self.server.ready.wait()
            self._started.set()
            await task

        asyncio.run(serve())

    def connect(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return found

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextmanager
def running(**limits: float) -> Iterator[Running]:
    server = Running(HttpLimits(**{"drain_s": 0.2, "grace_s": 10.0, **limits}))  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.app.release.set()
        server.stop()


def received(connection: socket.socket, until: Callable[[bytes], bool] | None = None) -> bytes:
    """What a connection sends until it is closed, or until that is enough."""
    found = b""
    while part := connection.recv(65536):
        found += part
        if until is not None and until(found):
            break
    return found


@pytest.mark.parametrize(
    "sent", [b"POST / HTTP/1.1\r\nhost: x\r\n", REQUEST[:-1]], ids=["headers", "body"]
)
def test_a_request_that_never_ends_is_cut_off(sent: bytes) -> None:
    with running(head_s=0.2, request_s=0.2) as server, server.connect() as connection:
        connection.sendall(sent)
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head
        assert json.loads(body) == {"error": "the request did not arrive in time"}


def test_a_connection_without_a_request_is_closed() -> None:
    with running(head_s=0.2, request_s=0.2) as server, server.connect() as connection:
        assert received(connection) == b""


def test_what_is_no_http_is_refused_as_json() -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(b"\x00\x01 nonsense\r\n\r\n")
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body) == {"error": "this is not a valid HTTP request"}


@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: -2\r\n",
        b"content-length: 2\x00\r\n",
        b" host: y\r\n",
    ],
)
def test_smuggled_lengths_are_refused(lines: bytes) -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n0\r\n\r\nGET /")
        assert received(connection).startswith(b"HTTP/1.1 400 ")


def test_a_slow_client_that_sends_in_time_is_answered() -> None:
    with running(head_s=20, request_s=20) as server, server.connect() as connection:
        for at in range(len(REQUEST)):
            connection.sendall(REQUEST[at : at + 1])
        assert received(connection, lambda found: b"echo" in found).startswith(b"HTTP/1.1 200 ")


def test_many_idle_connections_are_no_matter() -> None:
    with running(head_s=60) as server:
        idle = [server.connect() for _ in range(200)]
        with server.connect() as connection:
            connection.sendall(REQUEST)
            assert b"echo" in received(connection, lambda found: b"echo" in found)
        for connection in idle:
            connection.close()


def test_a_shutdown_answers_what_is_in_flight_and_closes_the_connection() -> None:
    with running() as server, server.connect() as connection:
        server.app.release.clear()
        connection.sendall(REQUEST)
        assert server.app.begun.wait(20)
        server.server.should_exit = True
        while not server.app.draining:
            assert server.thread.is_alive()
        server.app.release.set()
        found = received(connection)
        assert found.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in found
        assert found.endswith(b"echo")


def test_a_connection_that_is_idle_at_a_shutdown_may_still_ask_in_time() -> None:
    with running(drain_s=20.0) as server, server.connect() as connection:
        connection.sendall(REQUEST)
        received(connection, lambda found: b"echo" in found)
        server.server.should_exit = True
        while not server.app.draining:
            assert server.thread.is_alive()
        connection.sendall(REQUEST)
        assert received(connection).endswith(b"echo")


def test_a_server_that_stops_accepts_until_others_had_time_to_see_it() -> None:
    with running(delay_s=3600.0) as server:
        server.server.should_exit = True
        while not server.app.retired:
            assert server.thread.is_alive()
        with server.connect() as connection:
            connection.sendall(REQUEST)
            assert received(connection, lambda found: b"echo" in found).endswith(b"echo")
        assert not server.app.draining
        # A second signal doesn't wait.
        server.server.force_exit = True


def test_an_address_that_is_taken_is_an_error() -> None:
    with listening_socket("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listening_socket("127.0.0.1", first.getsockname()[1])


UPGRADE = REQUEST.replace(
    b"host: x",
    b"host: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA",
)


def test_an_upgrade_is_ignored_and_its_body_is_no_request() -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head, _, _ = UPGRADE.partition(b"\r\n\r\n")
    head = head.replace(b"length: 2", b"length: %d" % len(smuggled))
    with running() as server, server.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        with server.connect() as other:
            other.sendall(REQUEST)
            received(other, lambda found: b"echo" in found)
        connection.sendall(smuggled)
        received(connection, lambda found: b"echo" in found)
        connection.sendall(UPGRADE * 3)
        received(connection, lambda found: found.count(b"echo") == 3)
    assert server.app.bodies == [b"hi", smuggled, b"hi", b"hi", b"hi"]
    assert server.app.paths == ["/"] * 5


@pytest.mark.parametrize("chunk", [30_000, 200_000])
def test_large_headers_are_refused_while_they_arrive(chunk: int) -> None:
    with running(head_bytes=65_536) as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
        with suppress(ConnectionError):
            for _ in range(2_000_000 // chunk):
                connection.sendall(b"a" * chunk)
        with suppress(ConnectionError):
            assert received(connection).startswith(b"HTTP/1.1 431 ")
    assert server.app.paths == []


def test_headers_that_arrive_at_once_have_a_limit() -> None:
    with running(head_bytes=1000) as server:
        for size, status in ((900, b"200"), (1100, b"431")):
            with server.connect() as connection:
                connection.sendall(REQUEST.replace(b"host: x", b"host: x\r\nx: " + b"a" * size))
                assert (
                    received(connection, lambda found: b"}" in found or b"echo" in found)[9:12]
                    == status
                )


def test_a_connection_beyond_the_limit_is_refused() -> None:
    with running(connections=2) as server:
        first, second = server.connect(), server.connect()
        for connection in (first, second):
            connection.sendall(REQUEST)
            assert b"echo" in received(connection, lambda found: b"echo" in found)
        with server.connect() as third:
            third.sendall(REQUEST)
            found = received(third)
            assert found.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in found
        first.close()
        second.close()
        while server.server.server_state.connections:
            assert server.thread.is_alive()
        with server.connect() as fourth:
            fourth.sendall(REQUEST)
            assert b"echo" in received(fourth, lambda found: b"echo" in found)


def test_connections_without_a_request_make_room_for_others() -> None:
    with running(connections=10, head_s=60) as server:
        silent = [server.connect() for _ in range(12)]
        silent[-1].sendall(b"GET / HT")
        for _ in range(15):
            with server.connect() as connection:
                connection.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
                assert received(connection).startswith(b"HTTP/1.1 200 ")
        for connection in silent:
            connection.close()


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def test_trailers_are_no_headers() -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(CHUNKED + b"2\r\nhi\r\n0\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n")
        assert b"echo" in received(connection, lambda found: b"echo" in found)
    assert server.app.headers == [{b"host": b"x", b"transfer-encoding": b"chunked"}]
    assert server.app.bodies == [b"hi"]


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"2\r\nhi\r\n0\r\n", b"x: y\r\n" * 1000),
        (b"2\r\nhi\r\n0\r\nx: ", b"y" * 5000),
        (b"2;", b"y" * 5000),
    ],
    ids=["trailers", "a trailer", "an extension"],
)
def test_what_comes_beside_the_data_of_a_body_has_a_limit(begin: bytes, more: bytes) -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(CHUNKED + begin)
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(more)
        with suppress(ConnectionError):
            assert received(connection).startswith(b"HTTP/1.1 400 ")
    assert server.app.paths == []


def test_small_chunks_are_read() -> None:
    with running() as server, server.connect() as connection:
        for part in (CHUNKED, *[b"1;a=b\r\nx\r\n" * 1000] * 30, b"0\r\n\r\n"):
            connection.sendall(part)
        assert b"echo" in received(connection, lambda found: b"echo" in found)
    assert server.app.bodies == [b"x" * 30_000]


BROKEN = b"GARBAGE\r\n\r\n"


@pytest.mark.parametrize("last", [BROKEN, CHUNKED + b"zz\r\n"], ids=["no request", "a bad body"])
@pytest.mark.parametrize("before", [1, 3])
def test_a_broken_request_is_refused_after_the_replies_to_earlier_ones(
    before: int, last: bytes
) -> None:
    with running() as server, server.connect() as connection:
        server.app.release.clear()
        connection.sendall(REQUEST * before + last + REQUEST)
        assert server.app.begun.wait(20)
        server.app.release.set()
        found = received(connection)
    assert found.count(b"HTTP/1.1 200 ") == found.count(b"echo") == before
    assert found.count(b"HTTP/1.1 400 ") == 1
    assert found.index(b"HTTP/1.1 400 ") > found.rindex(b"echo")
    assert len(server.app.bodies) == before


@pytest.mark.parametrize("rest", [b"", b"GET / HT"])
def test_a_client_that_sends_no_more_is_answered(
    rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as server, server.connect() as connection:
        server.app.release.clear()
        connection.sendall(REQUEST * 2 + rest)
        connection.shutdown(socket.SHUT_WR)
        assert server.app.begun.wait(20)
        server.app.release.set()
        found = received(connection)
    assert found.count(b"echo") == 2
    assert found.count(b"connection: close") == 1
    assert caplog.records == []


def test_a_body_that_breaks_after_the_reply_closes_the_connection() -> None:
    with running() as server, server.connect() as connection:
        server.app.reads = False
        connection.sendall(CHUNKED)
        found = received(connection, lambda found: b"echo" in found)
        connection.sendall(b"zz\r\n")
        assert received(connection) == b""
    assert found.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/a?x=http://y/", b"x"),
        (b"http://y/a", b"y"),
        (b"http://y:8080/?b", b"y:8080"),
        (b"http://u@y/a", b"u@y"),
        (b"http://[::1]:80/a", b"[::1]:80"),
    ],
)
def test_the_host_of_a_whole_url_counts(target: bytes, host: bytes) -> None:
    with running() as server, server.connect() as connection:
        connection.sendall(REQUEST.replace(b"POST /", b"POST " + target))
        assert b"echo" in received(connection, lambda found: b"echo" in found)
    assert server.app.headers[0][b"host"] == host
    assert server.app.bodies == [b"hi"]


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with running(request_s=0.5) as server, server.connect() as connection:
        server.app.reply = b"x" * 20_000_000
        connection.sendall(REQUEST)
        assert server.app.begun.wait(20)
        while server.server.server_state.connections:
            assert server.thread.is_alive()
        with suppress(ConnectionResetError):
            assert len(received(connection)) < 20_000_000


def test_a_body_that_was_refused_early_is_answered_once() -> None:
    with running(request_s=0.2) as server, server.connect() as connection:
        server.app.reads = False
        # A small body has no task before all of it is there.
        connection.sendall(REQUEST.replace(b"length: 2", b"length: 100000"))
        found = received(connection)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert found.endswith(b"\r\n\r\necho")


def test_who_waits_for_a_server_sees_that_it_cannot_start() -> None:
    async def main() -> None:
        listener = listening_socket("127.0.0.1", 0)
        listener.close()
        server = HttpServer(Echo(), HttpLimits())
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        with pytest.raises((OSError, ValueError)):
            await serving

    asyncio.run(main())


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_closed_terminal_stops_a_server_in_order_unless_it_has_none(before: Any) -> None:
    server = HttpServer(Echo(), HttpLimits(drain_s=0.2, grace_s=10.0))

    async def serve() -> None:
        task = asyncio.create_task(server.serve(sockets=[listening_socket("127.0.0.1", 0)]))
        await server.ready.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)
        # With `nohup` it goes on.
        assert server.should_exit is (before is signal.SIG_DFL)
        server.should_exit = True
        await task

    known = signal.signal(signal.SIGHUP, before)
    try:
        asyncio.run(serve())
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, known)
