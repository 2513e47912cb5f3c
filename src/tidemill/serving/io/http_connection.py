"""One HTTP connection: that of uvicorn, with limits on clients that are slow, large or silent.

uvicorn waits for the rest of a request, and for a client that reads a reply, without end, and keeps headers
of any size. Here such connections are cut off, and every reply to what isn't HTTP is JSON like all others.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.overload_reply import overload_reply

_SWEEP_S = 0.5
# Seconds in which a connection beyond the limit may send the request that is refused.
_EXCESS_S = 1.0
_UPGRADES = (b"upgrade", b"http2-settings")
# Chunks of one byte have five more around it.
_CHUNKED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What a client may send, and the seconds that it may take.

    It has `head_s` for the line and the headers of a request, which have `head_bytes` at most, `request_s`
    for all of it, and as long to read a reply. It may keep a connection idle for `idle_s`. A shutdown
    begins `delay_s` after the server said that it isn't ready; then idle connections stay open for
    `drain_s`, and what is in flight has `grace_s` to end. Requests on more than so many `connections` are
    refused. The application refuses bodies of more than `body_bytes`.
    """

    head_s: float = 10.0
    request_s: float = 30.0
    idle_s: float = 75.0
    delay_s: float = 0.0
    drain_s: float = 2.0
    grace_s: float = 30.0
    head_bytes: int = 65_536
    body_bytes: int = 8_000_000
    connections: int = 1000
    backlog: int = 2048


class Application(Protocol):
    """An ASGI application that decides when it answers a request.

    Only requests that have arrived whole are passed to `accept`; others it is called for at once.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""

    def note_connection(self) -> None:
        """Note that a connection was accepted."""

    def arrival(self) -> float:
        """When bytes that are read now arrived, in seconds of the monotonic clock."""

    def accept(self, request: ArrivedRequest) -> None:
        """Begin or refuse a request, now or later."""


class ArrivedRequest(Protocol):
    """A request that has arrived whole, at `arrived` of the monotonic clock, and has no task yet."""

    arrived: float
    scope: Any

    @property
    def is_gone(self) -> bool:
        """Whether its client waits for it no more."""

    @property
    def is_read(self) -> bool:
        """Whether its client reads what is sent to it."""

    @property
    def closes(self) -> bool:
        """Whether its client wants the connection to be closed after the reply."""

    def begin(self) -> None:
        """Begin a task that answers it."""

    def refuse(
        self, request_id: bytes, headers: Iterable[tuple[bytes, bytes]], *, closes: bool
    ) -> None:
        """Reply that too many requests wait, without a task."""


class WholeRequest:
    """A request of an HTTP/1.1 connection that has arrived whole."""

    __slots__ = ("_connection", "_cycle", "arrived", "scope")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle, arrived: float) -> None:
        self._connection = connection
        self._cycle = cycle
        self.arrived = arrived
        self.scope: Any = cycle.scope

    @property
    def is_gone(self) -> bool:
        """Whether its client has closed the connection."""
        return self._cycle.disconnected

    @property
    def is_read(self) -> bool:
        """Whether its client reads what is sent to it."""
        return not self._connection.flow.write_paused

    @property
    def closes(self) -> bool:
        """Whether its client wants the connection to be closed after the reply."""
        return not self._cycle.keep_alive

    def begin(self) -> None:
        """Begin a task that answers it."""
        self._connection.begin(self._cycle)

    def refuse(
        self, request_id: bytes, headers: Iterable[tuple[bytes, bytes]], *, closes: bool
    ) -> None:
        """Reply that too many requests wait, without a task."""
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(overload_reply(request_id, headers, closes=closes))
        if closes:
            cycle.transport.close()
        cycle.on_response()


class Connection(HttpToolsProtocol):
    """A connection that knows since when it waits for its client."""

    def __init__(self, *, limits: HttpLimits, application: Application, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._application = application
        self._arrived = 0.0
        # The request whose body is arriving, if it is small: it has no task before it is there.
        self._arriving: RequestResponseCycle | None = None
        self._ends_head = False
        self._waiting_since: float | None = None
        self._unread_since: float | None = None
        self._is_excess = self._is_upgrading = False
        # Whether the headers of a request are still arriving, and how many bytes of them came in chunks that
        # hold nothing else.
        self._in_head = False
        self._head_bytes = self._chunk_bytes = 0
        # Whether its body is still arriving, the bytes of the body, and those that brought it: all bytes of
        # chunks that hold nothing else.
        self._in_body = False
        self._body_bytes = self._framed_bytes = 0
        # The requests whose heads have come, and whose replies haven't been sent.
        self._unanswered: deque[RequestResponseCycle] = deque()
        # The reply to a request that is refused, until those before it are answered.
        self._refusal = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._application.note_connection()
        self._waiting_since = self.loop.time()
        if not has_room(self.connections, self._limits.connections, self):
            self._is_excess = True
            self._waiting_since -= max(0.0, self._limits.head_s - _EXCESS_S)

    @property
    def unused_since(self) -> float | None:
        """Since when it waits for a whole head, if it never sent one."""
        return self._waiting_since if self.cycle is None else None

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that sends no more, if it sent whole requests; say whether it is answered."""
        if not self._unanswered or self._in_body or self.scheme == "https":
            self._abandon()
            return False
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._abandon()
        super().connection_lost(exc)

    def _abandon(self) -> None:
        """Send no reply any more: uvicorn would write those of pipelined requests to a closed connection."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._refusal:
            return
        self._unset_keepalive_if_required()
        self._arrived = self._application.arrival()
        was_in_head, self._chunk_bytes = self._in_head, len(data)
        scope = self.scope if self._in_body else None
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._refuse_head()
        elif self._in_body and scope is self.scope:
            self._framed_bytes += len(data)
            if self._framed_bytes > self._limits.head_bytes + _CHUNKED * self._body_bytes:
                self._refuse("400 Bad Request", "the body is mostly chunk extensions or trailers")

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes the body for another protocol, and what arrives of it later for another
                # request. An upgrade may be ignored: so the headers are parsed again without it.
                data = memoryview(data)[upgrade.args[0] :]
                if not self._is_upgrading:
                    return
                self._is_upgrading = False
                head = self._head_without_upgrade()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name == b"connection":
                parts = (part.strip() for part in value.split(b","))
                value = b",".join(part for part in parts if part.lower() not in _UPGRADES)
            if name not in _UPGRADES:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["tidemill.arrived"] = self._arrived  # type: ignore[typeddict-unknown-key]
        self._in_head, self._head_bytes = True, 0
        self._body_bytes = self._framed_bytes = 0
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come after the body: nobody checks them, and they would be kept without end.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._is_excess:
            self._refuse(
                "503 Service Unavailable",
                "the server has too many connections",
                "retry-after: 1\r\n",
            )
        elif self._chunk_bytes > self._limits.head_bytes and self._head_is_large():
            self._refuse_head()
        elif self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._is_upgrading = True
            return
        if self.transport.is_closing() or self._refusal:
            raise ConnectionAbortedError("the request was refused")
        if b"://" in self.url:
            self._take_host_of_target()
        self._ends_head = True
        super().on_headers_complete()
        self._ends_head = False
        self._in_body = True
        self._unanswered.append(self.cycle)

    def _take_host_of_target(self) -> None:
        """Let the host of a target like `http://host/path` stand for that of the header, as RFC 9112 says."""
        if not self.url.startswith(b"/"):
            authority = re.split(rb"[/?#]", self.url.partition(b"://")[2], maxsplit=1)[0]
            others = [item for item in self.headers if item[0] != b"host"]
            self.headers[:] = [(b"host", authority), *others]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_upgrading:
            return
        self._in_body = False
        self._waiting_since = self._unread_since = None
        super().on_message_complete()
        if self._arriving is not None:
            cycle, self._arriving = self._arriving, None
            self._application.accept(WholeRequest(self, cycle, self._arrived))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.more_body:
            # It arrived while the one before it was answered.
            self._application.accept(WholeRequest(self, cycle, self._arrived))
        elif self._ends_head and self._is_small():
            self._arriving = cycle
        else:
            self.begin(cycle)

    def begin(self, cycle: RequestResponseCycle) -> None:
        """Begin a task that answers a request."""
        super()._start_asgi_task(cycle, self.app)

    def _is_small(self) -> bool:
        """Whether a body is announced that needs no task to be read, or none."""
        if self.expect_100_continue:
            return False
        size = 0
        for name, value in self.headers:
            if name == b"content-length":
                size = int(value)
            elif name == b"transfer-encoding":
                return False
        return size <= min(HIGH_WATER_LIMIT, self._limits.body_bytes)

    def _head_is_large(self) -> bool:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        return size > self._limits.head_bytes

    def send_400_response(self, msg: str) -> None:
        """Reply to what isn't HTTP, as JSON."""
        self._refuse("400 Bad Request", "this is not a valid HTTP request")

    def _refuse_head(self) -> None:
        most = self._limits.head_bytes
        self._refuse(
            "431 Request Header Fields Too Large", f"the headers have more than {most:,} bytes"
        )

    def _refuse(self, status: str, message: str, headers: str = "") -> None:
        """Reply with an error after the replies to earlier requests, and close the connection."""
        if self.transport.is_closing() or self._refusal:
            return
        if self._in_body and self.cycle.response_started:
            # It is answered already.
            self.transport.close()
            return
        body = json.dumps({"error": message}).encode()
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"{headers}connection: close\r\n\r\n"
        )
        self._refusal = head.encode() + body
        if self._in_body and self.pipeline:
            # The refused request waits for others; it is the last that came.
            self.pipeline.popleft()
            self._unanswered.pop()
        elif self._in_body or self.cycle is None or self.cycle.response_complete:
            self._send_refusal()
            return
        self._waiting_since = None
        self.flow.pause_reading()

    def _send_refusal(self) -> None:
        self.transport.write(self._refusal)
        self.transport.close()

    def on_response_complete(self) -> None:
        """Answer the next request; or refuse it, if it was none."""
        is_last = not self.pipeline
        self._unanswered.popleft()
        super().on_response_complete()
        if self._refusal and is_last and not self.transport.is_closing():
            self._send_refusal()

    def cut_off_slow(self, now: float) -> None:
        """Close the connection if its client takes too long to send a request, or to read a reply."""
        limits = self._limits
        waiting, unread = self._waiting_since, self._unread_since
        is_in_head = self._in_head or self.headers is None
        if waiting is not None and waiting < now - (
            limits.head_s if is_in_head else limits.request_s
        ):
            self._cut_off()
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif unread is None:
            self._unread_since = now
        elif unread < now - limits.request_s:
            self.transport.abort()

    def _cut_off(self) -> None:
        """Refuse a request that doesn't arrive; a client that waits for no reply to it gets none."""
        cycle = self.cycle
        has_begun = cycle is not None and cycle.response_started
        is_answering = has_begun and not cycle.response_complete
        if (
            self.headers is None
            or is_answering
            or self.pipeline
            or (has_begun and not self._in_head)
        ):
            self.transport.close()
        else:
            self._refuse("408 Request Timeout", "the request did not arrive in time")


def has_room(connections: set[Any], most: int, new: object) -> bool:
    """Whether there is room for a new connection, if the oldest unused one of too many is closed."""
    if len(connections) <= most:
        return True
    unused = [
        each
        for each in connections
        if each is not new and each.unused_since is not None and not each.transport.is_closing()
    ]
    if not unused:
        return False
    min(unused, key=lambda each: each.unused_since).transport.close()
    return True


async def cut_off_slow_clients(connections: set[Any], every_s: float = _SWEEP_S) -> None:
    """Cut off the slow ones of a server's connections every so many seconds, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every_s)
        for connection in list(connections):
            connection.cut_off_slow(loop.time())
