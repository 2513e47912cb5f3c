"""The HTTP server: uvicorn with limits on slow clients, and a shutdown that loses no request.

uvicorn waits for the rest of a request without end. Here a connection that doesn't finish sending a
request in time is cut off with 408, and every reply to what isn't HTTP is JSON like all others.

A shutdown first stops accepting connections, answers what is in flight, and has each reply close its
connection. Idle connections are only closed after a grace time: a client that sends its next request just
then would lose it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TICK_S = 0.05
_SWEEP_S = 0.5


class Application(Protocol):
    """An ASGI application that can be drained."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""

    def drain(self) -> None:
        """From now on every reply closes its connection, and the server isn't ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Seconds that a client may take to send a request, or keep an idle connection open.

    At a shutdown idle connections stay open for `drain_s`, and what is in flight has `grace_s` to end.
    """

    request_s: float = 30.0
    idle_s: float = 75.0
    drain_s: float = 2.0
    grace_s: float = 30.0
    backlog: int = 2048


class _Connection(HttpToolsProtocol):
    """A connection that knows since when it waits for the rest of a request."""

    # A class attribute, because uvicorn creates the connections.
    clock: Callable[[], float]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waiting_since: float | None = self.clock()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.waiting_since is None:
            self.waiting_since = self.clock()

    def on_message_complete(self) -> None:
        self.waiting_since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Reply to what isn't HTTP, as JSON."""
        self.refuse("400 Bad Request", "this is not a valid HTTP request")

    def refuse(self, status: str, message: str) -> None:
        """Reply with an error and close the connection."""
        body = json.dumps({"error": message}).encode()
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)
            self.transport.close()

    def cut_off(self) -> None:
        """Refuse a request that takes too long to arrive; a connection without one is only closed."""
        started = self.cycle is not None and self.cycle.response_started
        if self.headers is None or (started and not self.cycle.response_complete):
            self.transport.close()
        else:
            self.refuse("408 Request Timeout", "the request did not arrive in time")


class HttpServer(uvicorn.Server):
    """Serves an application on listening sockets until it is asked to stop."""

    def __init__(
        self, application: Application, limits: HttpLimits, tls: tuple[str, str] | None = None
    ) -> None:
        self._application = application
        self._limits = limits
        self._sweep: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        certificate, key = tls or (None, None)
        super().__init__(
            uvicorn.Config(
                application,
                http=_Connection,
                loop="uvloop",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=max(1, int(limits.idle_s)),
                timeout_graceful_shutdown=max(1, int(limits.grace_s)),
                backlog=limits.backlog,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `should_exit`; a second SIGINT ends it at once."""
        with self.capture_signals():
            await self._serve(sockets)
            # uvicorn would raise the signals again: but this is how a server ends in order.
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and to cut slow clients off."""
        _Connection.clock = asyncio.get_running_loop().time
        await super().startup(sockets)
        self._sweep = asyncio.create_task(self._cut_slow_clients())
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, drain those that are open, and close them."""
        for server in self.servers:
            server.close()
        self._application.drain()
        await self._wait_until_drained()
        if self._sweep is not None:
            self._sweep.cancel()
        await super().shutdown(sockets)

    async def _wait_until_drained(self) -> None:
        """Until no connection is open, or only idle ones were for the grace time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.drain_s
        while self.server_state.connections and not self.force_exit:
            if loop.time() >= end and not self.server_state.tasks:
                return
            if loop.time() >= end + self._limits.grace_s:
                return
            await asyncio.sleep(_TICK_S)

    async def _cut_slow_clients(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            oldest = loop.time() - self._limits.request_s
            for connection in list(self.server_state.connections):
                assert isinstance(connection, _Connection)
                since = connection.waiting_since
                if since is not None and since < oldest:
                    connection.cut_off()


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; OSError if it is taken."""
    family, kind, number, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind, number)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found
