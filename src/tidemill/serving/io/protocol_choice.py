"""Serve HTTP/1.1 and gRPC on one port: what a client sends first tells them apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tidemill.serving.io.http_connection import HttpLimits, has_room

# What every HTTP/2 connection begins with; no request of HTTP/1.1 does.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class FirstBytes(asyncio.Protocol):
    """A new connection, which becomes one of HTTP/1.1 or of HTTP/2 as soon as its first bytes tell which."""

    def __init__(
        self,
        http: Callable[[], asyncio.Protocol],
        http2: Callable[[], asyncio.Protocol],
        connections: set[Any],
        limits: HttpLimits,
    ) -> None:
        self._http, self._http2 = http, http2
        self._connections = connections
        self._limits = limits
        self._received = b""
        self.unused_since = 0.0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first bytes."""
        self.transport = transport
        self.unused_since = asyncio.get_running_loop().time()
        self._connections.add(self)
        has_room(self._connections, self._limits.connections, self)

    def data_received(self, data: bytes) -> None:
        """Hand what arrived to the protocol that it begins."""
        received = self._received = self._received + data
        is_http2 = received.startswith(_PREFACE)
        if not is_http2 and _PREFACE.startswith(received):
            return
        self._connections.discard(self)
        chosen = self._http2() if is_http2 else self._http()
        self.transport.set_protocol(chosen)
        chosen.connection_made(self.transport)
        chosen.data_received(received)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._connections.discard(self)

    def cut_off_slow(self, now: float) -> None:
        """Close it if nothing tells what it is."""
        if now - self.unused_since > self._limits.head_s:
            self.transport.close()

    def shutdown(self) -> None:
        """Close it: no request was begun."""
        self.transport.close()
