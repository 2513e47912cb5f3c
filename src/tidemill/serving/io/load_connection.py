"""One connection of a load generator, without an event loop: asking must cost less than answering."""

from __future__ import annotations

import selectors
import socket
import ssl
from typing import Any, Protocol

import httptools

from tidemill.core.lazy_dataclass import dataclass

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_CHUNK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens, as `getaddrinfo` returns it; with `tls` the name that its certificate has."""

    family: int
    place: Any
    host: str
    tls: ssl.SSLContext | None = None


class Owner(Protocol):
    """The owner of connections, which learns what becomes of them."""

    def opened(self, connection: LoadConnection) -> None:
        """It is open, and may send."""

    def replied(self, connection: LoadConnection, status: int) -> None:
        """The reply to its request has arrived; it may send again if it is still open."""

    def lost(self, connection: LoadConnection, reason: str, *, has_request: bool) -> None:
        """It is closed, with or without a request: it couldn't be opened, or the server closed it."""


class LoadConnection:
    """Sends one request after the other, never waits, and reports what happens to its owner."""

    def __init__(self, address: Address, selector: selectors.BaseSelector, owner: Owner) -> None:
        self._address = address
        self._selector = selector
        self._owner = owner
        self._socket: socket.socket | None = None
        self._is_connected = self._is_shaken = False
        self._unsent = memoryview(b"")
        self._parser: Any = None
        self._reply, self._is_kept = 0, False
        self.due = self.sent = 0
        self.is_busy = False
        self.opened_at = 0

    @property
    def is_open(self) -> bool:
        """Whether it may send."""
        return self._is_shaken

    @property
    def is_closed(self) -> bool:
        """Whether it has to be opened first."""
        return self._socket is None

    def open(self, now: int) -> None:
        """Begin to open it."""
        self.opened_at = now
        made = socket.socket(self._address.family, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = made
        self._parser, self._reply = httptools.HttpResponseParser(self), 0
        made.connect_ex(self._address.place)
        self._selector.register(made, _WRITE, self)

    def send(self, payload: bytes, due: int, now: int) -> None:
        """Send a request that should have been sent at `due`."""
        self.due, self.sent, self.is_busy = due, now, True
        self._unsent = memoryview(payload)
        self._write()

    def on_ready(self, events: int) -> None:
        """Go on where the socket lets it."""
        try:
            if not self._is_shaken:
                self._go_on_opening()
                return
            if events & _WRITE and self._unsent:
                self._write()
            if events & _READ and self._socket is not None:
                self._read()
        except (OSError, httptools.HttpParserError) as error:
            self._lose(_reason(error))

    def close(self) -> None:
        """Close it, whatever it waits for."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket, self._unsent = None, memoryview(b"")
        self._is_connected = self._is_shaken = self.is_busy = False

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a reply."""
        status = self._parser.get_status_code()
        if status >= 200:
            # Afterwards the parser no longer knows it.
            self._reply, self._is_kept = status, self._parser.should_keep_alive()

    def _go_on_opening(self) -> None:
        assert self._socket is not None
        if not self._is_connected:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise ConnectionRefusedError(code)
            self._is_connected = True
            if self._address.tls is not None:
                self._selector.unregister(self._socket)
                self._socket = self._address.tls.wrap_socket(
                    self._socket,
                    server_hostname=self._address.host,
                    do_handshake_on_connect=False,
                )
                self._selector.register(self._socket, _READ, self)
        if isinstance(self._socket, ssl.SSLSocket) and not self._shake(self._socket):
            return
        self._is_shaken = True
        self._selector.modify(self._socket, _READ, self)
        self._owner.opened(self)

    def _shake(self, found: ssl.SSLSocket) -> bool:
        try:
            found.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(found, _READ, self)
            return False
        except ssl.SSLWantWriteError:
            self._selector.modify(found, _WRITE, self)
            return False
        return True

    def _write(self) -> None:
        assert self._socket is not None
        try:
            written = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            written = 0
        except OSError as error:
            self._lose(_reason(error))
            return
        had_rest = self._selector.get_key(self._socket).events & _WRITE
        self._unsent = self._unsent[written:]
        if bool(self._unsent) != bool(had_rest):
            self._selector.modify(self._socket, _READ | (_WRITE if self._unsent else 0), self)

    def _read(self) -> None:
        there = self._socket
        while self._socket is there and there is not None:
            try:
                data = there.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                self._lose("closed")
                return
            self._parser.feed_data(data)
            if self._reply:
                self._end_request()
            if len(data) < _CHUNK and self._address.tls is None:
                return

    def _end_request(self) -> None:
        status, self._reply = self._reply, 0
        was_asked, self.is_busy = self.is_busy, False
        if not was_asked:
            # A server says so before it closes an idle connection.
            self._lose("closed")
            return
        if not self._is_kept:
            self.close()
        self._owner.replied(self, status)

    def _lose(self, reason: str) -> None:
        had_request = self.is_busy
        self.close()
        self._owner.lost(self, reason, has_request=had_request)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, httptools.HttpParserError):
        return "no HTTP"
    return "refused" if isinstance(error, ConnectionRefusedError) else "closed"
