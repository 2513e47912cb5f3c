"""Slow, broken and silent clients, and a shutdown that loses no request."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tidemill.serving.io.http_server import HttpLimits, HttpServer, listening_socket

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


class Echo:
    """Answers with the body of the request, after `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.release.set()
        self.begun = threading.Event()
        self.draining = False

    def drain(self) -> None:
        self.draining = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        if message["type"] == "http.disconnect":
            return
        self.begun.set()
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        headers = [(b"content-length", b"4")]
        headers += [(b"connection", b"close")] if self.draining else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"echo"})


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
    with running(request_s=0.2) as server, server.connect() as connection:
        connection.sendall(sent)
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head
        assert json.loads(body) == {"error": "the request did not arrive in time"}


def test_a_connection_without_a_request_is_closed() -> None:
    with running(request_s=0.2) as server, server.connect() as connection:
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
    with running(request_s=20) as server, server.connect() as connection:
        for at in range(len(REQUEST)):
            connection.sendall(REQUEST[at : at + 1])
        assert received(connection, lambda found: b"echo" in found).startswith(b"HTTP/1.1 200 ")


def test_many_idle_connections_are_no_matter() -> None:
    with running(request_s=60) as server:
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


def test_an_address_that_is_taken_is_an_error() -> None:
    with listening_socket("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listening_socket("127.0.0.1", first.getsockname()[1])
