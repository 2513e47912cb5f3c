"""The HTTP server: uvicorn with limits on slow clients, and a shutdown that loses no request.

A shutdown says that the server isn't ready, for as long as those that send requests need to notice. Then it
stops accepting connections, answers what is in flight, and has each reply close its connection. Idle
connections are only closed after a grace time: a client that sends its next request just then would lose
it.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import uvicorn

from tidemill.serving.host_names import is_loopback
from tidemill.serving.io.http_connection import (
    Application,
    Connection,
    HttpLimits,
    cut_off_slow_clients,
)
from tidemill.serving.io.protocol_choice import FirstBytes

_TICK_S = 0.05


class DrainedApplication(Application, Protocol):
    """An application that can be drained."""

    def retire(self) -> None:
        """From now on the server isn't ready, so that nothing new is sent to it."""

    def drain(self) -> None:
        """From now on every reply closes its connection, and the server isn't ready."""


# Makes a connection of HTTP/2, of those and with the tasks of the whole server.
Http2: TypeAlias = Callable[[Any, HttpLimits, set[Any], set[asyncio.Task[None]]], asyncio.Protocol]


class TlsFiles(NamedTuple):
    """The PEM files of a certificate and its private key, and the password of the key, "" without one."""

    certificate: str
    key: str
    password: str = ""


class HttpServer(uvicorn.Server):
    """Serves an application on listening sockets until it is asked to stop.

    With `http2`, clients that begin with it are served as well, on the same sockets.

    OSError for a certificate, or a key of it, that can't be used.
    """

    def __init__(
        self,
        application: DrainedApplication,
        limits: HttpLimits,
        tls: TlsFiles | None = None,
        http2: Http2 | None = None,
    ) -> None:
        self._application = application
        self._limits = limits
        self._sweep: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.draining = asyncio.Event()
        if tls is not None:
            _check_tls(tls)
        super().__init__(
            uvicorn.Config(
                application,
                http=self._protocol(http2),  # type: ignore[arg-type]
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
                ssl_certfile=None if tls is None else tls.certificate,
                ssl_keyfile=None if tls is None else tls.key,
                ssl_keyfile_password=None if tls is None else tls.password or None,
            )
        )
        self.config.load()
        if http2 is not None and self.config.ssl is not None:
            # Whoever speaks both, such as curl and browsers, asks over HTTP/1.1; gRPC speaks HTTP/2 only.
            self.config.ssl.set_alpn_protocols(["http/1.1", "h2"])

    def _protocol(self, http2: Http2 | None) -> Callable[..., asyncio.Protocol]:
        http = partial(Connection, limits=self._limits, application=self._application)
        if http2 is None:
            return http

        def first_bytes(**given: Any) -> asyncio.Protocol:
            state = self.server_state
            second = partial(http2, self._application, self._limits, state.connections, state.tasks)
            return FirstBytes(partial(http, **given), second, state.connections, self._limits)

        return first_bytes

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `should_exit`; a second SIGINT ends it at once."""
        with self.capture_signals(), self._capture_hangup():
            try:
                await self._serve(sockets)
            finally:
                # Whoever waits for it sees that it failed to start.
                self.ready.set()
            # uvicorn would raise the signals again: but this is how a server ends in order.
            self._captured_signals.clear()

    @contextmanager
    def _capture_hangup(self) -> Iterator[None]:
        """Stop in order when the terminal is closed, too, unless it was started with `nohup`."""
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, and to cut slow clients off."""
        await super().startup(sockets)
        self._sweep = asyncio.create_task(cut_off_slow_clients(self.server_state.connections))
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Be unready for a while, stop accepting connections, drain those that are open, and close them."""
        self._application.retire()
        self.draining.set()
        await self._wait_until_known()
        for server in self.servers:
            server.close()
        self._application.drain()
        await self._wait_until_drained()
        if self._sweep is not None:
            self._sweep.cancel()
        await super().shutdown(sockets)

    async def _wait_until_known(self) -> None:
        """Until whoever asks if the server is ready has seen that it isn't."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.delay_s
        while loop.time() < end and not self.force_exit:
            await asyncio.sleep(_TICK_S)

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


def _check_tls(tls: TlsFiles) -> None:
    """Raise OSError for files that can't be used; OpenSSL would ask the terminal for a missing password."""
    is_encrypted = False

    def password() -> str:
        nonlocal is_encrypted
        is_encrypted = True
        # Without one any other text will do: OpenSSL would ask the terminal.
        return tls.password or secrets.token_hex()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password)
    except ssl.SSLError as error:
        if not is_encrypted:
            raise
        fault = (
            "the password of the key is wrong (key_password_env)"
            if tls.password
            else "the key is encrypted, and key_password_env names no variable with its password"
        )
        raise PermissionError(fault) from error


def listening_socket(host: str, port: int, *, for_others: bool = False) -> socket.socket:
    """A socket that listens on an address; OSError if it is taken.

    Unless it is `for_others`, it is also an OSError that other machines can reach the address.
    """
    family, kind, number, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    if not for_others and not is_loopback(str(address[0])):
        raise PermissionError(f"{host} is {address[0]} here, which others can reach")
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
