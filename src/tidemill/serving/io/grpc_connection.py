"""One HTTP/2 connection whose streams are calls over gRPC, with the limits that HTTP/1.1 has here.

h2 keeps the rules of HTTP/2. A call reaches the application when it has arrived whole.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from tidemill.serving.compression import decompress
from tidemill.serving.errors import BadRequest, RequestError
from tidemill.serving.frame_lengths import LONGEST, FrameLengths
from tidemill.serving.grpc_requests import OPEN, HttpRequest, find_rpc, read_call
from tidemill.serving.grpc_status import DEADLINE_EXCEEDED, timeout_ms
from tidemill.serving.host_names import parse_host
from tidemill.serving.io.body import PendingBodies, too_large
from tidemill.serving.io.grpc_call import GrpcCall, Headers, failure
from tidemill.serving.io.http_connection import Application, HttpLimits, has_room
from tidemill.serving.io.request_bodies import LARGE

# Calls that a client may have open on one connection; it keeps further ones to itself.
_CALLS = 256
# What may arrive before the server has read it, by call and in all. Frames stay as small as they are by
# default: h2 refuses larger ones that come together with the client's consent to them.
_WINDOW = 1 << 20
# A message follows a byte that says if it is compressed, and its length.
_PREFIX = 5
# Calls that a client may reset beyond those that it had answered: a flood of them costs it nothing.
_RESETS = 1000
_LAST_STREAM = (1 << 31) - 1
_REPLY = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
)
_NO_GRPC = (
    ((b":status", b"415"), (b"content-type", b"application/json")),
    b'{"error":"over HTTP/2 only gRPC is spoken here: ask for it by HTTP/1.1"}',
)
_GRPC = (b"application/grpc", b"application/grpc+proto")
# Headers of the message; the request over HTTP has its own.
_OF_MESSAGE = (b"content-", b"grpc-", b"inference-header-")
_TIMEOUT = b"x-request-timeout-ms"


class GrpcApplication(Application, Protocol):
    """An application that answers calls over gRPC; `pending` counts what is arriving of all."""

    pending: PendingBodies
    is_draining: bool

    def welcomes(self, headers: Headers) -> bool:
        """Whether the sender of these headers may ask something."""


class _Arriving:
    """A call that is arriving `since` a time of the loop: its headers, and what came of its message.

    Its first bytes came at `arrived` of the monotonic clock.
    """

    __slots__ = ("arrived", "data", "encoding", "headers", "patience_s", "rpc", "since")

    def __init__(self, since: float, arrived: float) -> None:
        self.since, self.arrived = since, arrived
        self.rpc = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.encoding = "identity"
        self.patience_s = math.inf
        self.data = bytearray()

    def read_headers(self, given: Sequence[tuple[bytes, bytes]], *, is_local: bool) -> None:
        """Take the headers; RequestError for a call that there isn't, or an odd deadline."""
        sent = dict(given)
        authority = sent.get(b":authority")
        self.headers = [
            item
            for item in given
            if not item[0].startswith((b":", *_OF_MESSAGE)) and item[0] != b"host"
        ]
        host = authority or sent.get(b"host")
        if is_local and (host is None or parse_host(host.decode("latin-1")) is None):
            # Clients of a Unix socket send its path.
            host = b"localhost"
        if host is not None:
            self.headers.append((b"host", host))
        self.encoding = sent.get(b"grpc-encoding", b"identity").decode("latin-1")
        self.rpc = find_rpc(sent[b":path"])
        if b"grpc-timeout" in sent:
            milliseconds = timeout_ms(sent[b"grpc-timeout"])
            self.patience_s = milliseconds / 1e3
            if _TIMEOUT not in sent:
                self.headers.append((_TIMEOUT, b"%.6f" % milliseconds))

    def request(self, most: int) -> HttpRequest:
        """The request over HTTP that asks the same; its message may have so many bytes."""
        try:
            message = _one_message(bytes(self.data), self.encoding, most)
        except RequestError as error:
            return HttpRequest(fault=error)
        return read_call(self.rpc, message)


def _one_message(data: bytes, encoding: str, most: int) -> bytes:
    if len(data) < _PREFIX or len(data) != _PREFIX + int.from_bytes(data[1:_PREFIX], "big"):
        raise BadRequest("the call has not exactly one message, which is as long as it says")
    if data[0] == 0:
        return data[_PREFIX:]
    if data[0] > 1 or encoding == "identity":
        raise BadRequest("the message of the call is compressed, but grpc-encoding doesn't say how")
    return decompress(data[_PREFIX:], encoding, most=most)


class _Unsent:
    """What is left to send of a reply, and since when it is sent."""

    __slots__ = ("data", "since", "trailers")

    def __init__(self, data: bytes, trailers: Headers, since: float) -> None:
        self.data, self.trailers, self.since = memoryview(data), trailers, since


class GrpcConnection(asyncio.Protocol):
    """A connection over which one client makes any number of calls at once.

    `connections` and `tasks` are those of the whole server.
    """

    def __init__(
        self,
        application: GrpcApplication,
        limits: HttpLimits,
        connections: set[Any],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._application = application
        self._limits = limits
        self._connections = connections
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # By stream: calls that arrive; those that aren't answered, None while they are read; and replies
        # that wait for the client.
        self._arriving: dict[int, _Arriving] = {}
        self._calls: dict[int, GrpcCall | None] = {}
        self._unsent: dict[int, _Unsent] = {}
        # Streams of calls that are answered before they have arrived.
        self._cut: set[int] = set()
        self._lengths = FrameLengths()
        self._resets = 0
        self._last_stream = 0
        self._arrived = 0.0
        self._idle_since = self._loop.time()
        self._unread_since: float | None = None
        self._closing_since: float | None = None
        self._ends = self._is_local = self._has_room = False
        self.is_read = True

    @property
    def unused_since(self) -> float | None:
        """Since when it waits for its first call, if none came."""
        return None if self._last_stream else self._idle_since

    def connection_made(self, transport: Any) -> None:
        """Say what this server accepts."""
        self.transport = transport
        self._is_local = transport.get_extra_info("socket").family == socket.AF_UNIX
        self._connections.add(self)
        self._application.note_connection()
        if not has_room(self._connections, self._limits.connections, self):
            transport.close()
            return
        self._h2.initiate_connection()
        self._h2.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: _CALLS,
                SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
            }
        )
        self._h2.increment_flow_control_window(_WINDOW)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer no call any more."""
        self._connections.discard(self)
        for stream in [*self._arriving, *self._calls]:
            self._drop(stream)

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        self._arrived = self._application.arrival()
        if not self._lengths.take(data):
            self._close(ErrorCodes.FRAME_SIZE_ERROR)
            return
        try:
            # In pieces, because the end of each frame copies what follows it.
            for at in range(0, len(data), LONGEST):
                for event in self._h2.receive_data(data[at : at + LONGEST]):
                    self._take(event)
            self._send_waiting()
        except H2Error:
            # The client is told why.
            self._flush()
            self.transport.close()
            return
        self._flush()

    def pause_writing(self) -> None:
        """Read no more from a client that doesn't read."""
        self.is_read = False
        self._unread_since = self._loop.time()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self.is_read = True
        self._unread_since = None
        self.transport.resume_reading()

    def begin(self, call: GrpcCall) -> None:
        """Begin a task that answers a call."""
        self._spawn(call.answer(self._application))

    def reply(
        self, stream: int, message: bytes | None, headers: Headers, trailers: Headers
    ) -> None:
        """Send the reply to a call; without a message its headers and trailers are one."""
        if message is None:
            self._send_reply(stream, [*_REPLY, *headers, *trailers], b"", ())
        else:
            data = b"\0" + len(message).to_bytes(4, "big") + message
            self._send_reply(stream, [*_REPLY, *headers], data, trailers)

    def close_gently(self) -> None:
        """Let the client make its next calls on another connection; those that it made are answered."""
        if self._closing_since is None:
            self._closing_since = self._loop.time()
            self._go_away(_LAST_STREAM, ErrorCodes.NO_ERROR)

    def shutdown(self) -> None:
        """Close the connection as soon as its calls are answered."""
        self.close_gently()
        self._ends = True
        if not self._calls and not self._arriving:
            self._close(ErrorCodes.NO_ERROR)

    def cut_off_slow(self, now: float) -> None:
        """End what takes too long: calls that don't arrive, replies that nobody reads, idle connections."""
        limits = self._limits
        if self.transport.is_closing() and self._unread_since is None:
            # It closes when its client has read what is left, however little that is.
            self._unread_since = now
        for stream, arriving in [*self._arriving.items()]:
            if arriving.since < now - limits.request_s:
                self._cut_off(stream)
                late = failure(DEADLINE_EXCEEDED, "the request did not arrive in time")
                self.reply(stream, None, (), late)
        since = [each.since for each in self._unsent.values()]
        if self._unread_since is not None:
            since.append(self._unread_since)
        if since and min(since) < now - limits.request_s:
            self.transport.abort()
            return
        is_idle = not self._calls and not self._arriving
        if self._application.is_draining or (is_idle and self._idle_since < now - limits.idle_s):
            self.close_gently()
        closing_since = math.inf if self._closing_since is None else self._closing_since
        if is_idle and max(closing_since, self._idle_since) < now - limits.drain_s:
            self.shutdown()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._take_headers(event.stream_id, event.headers)
            case DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._take_data(event.stream_id, event.data)
            case StreamEnded():
                self._take_end(event.stream_id)
            case WindowUpdated() | RemoteSettingsChanged():
                self._has_room = True
            case StreamReset():
                self._drop(event.stream_id)
                self._resets += 1
                if self._resets > _RESETS:
                    self._close(ErrorCodes.ENHANCE_YOUR_CALM)
            case ConnectionTerminated():
                self.transport.close()

    def _take_headers(self, stream: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._last_stream = stream
        arriving = self._arriving[stream] = _Arriving(self._loop.time(), self._arrived)
        sent = dict(headers)
        kind = sent.get(b"content-type", b"").partition(b";")[0]
        if sent[b":method"] != b"POST" or kind not in _GRPC:
            self._cut_off(stream)
            self._send_reply(stream, *_NO_GRPC, ())
            return
        try:
            arriving.read_headers(headers, is_local=self._is_local)
        except RequestError as error:
            self._cut_off(stream)
            self._accept(stream, arriving, HttpRequest(fault=error))
            return
        # Who may ask nothing can't have the server keep what it sends.
        if arriving.rpc not in OPEN and not self._application.welcomes(arriving.headers):
            self._cut_off(stream)
            refused = BadRequest("the call was refused before it arrived")
            self._accept(stream, arriving, HttpRequest(fault=refused))

    def _take_data(self, stream: int, data: bytes) -> None:
        arriving = self._arriving.get(stream)
        if arriving is None:
            return
        arriving.data += data
        try:
            self._application.pending.add(len(data))
            if len(arriving.data) > self._limits.body_bytes + _PREFIX:
                raise too_large(self._limits.body_bytes)
        except RequestError as error:
            self._cut_off(stream)
            self._accept(stream, arriving, HttpRequest(fault=error))

    def _take_end(self, stream: int) -> None:
        self._cut.discard(stream)
        arriving = self._arriving.get(stream)
        if arriving is None:
            return
        self._calls[stream] = None
        if len(arriving.data) <= LARGE and arriving.encoding == "identity":
            self._forget(stream)
            self._accept(stream, arriving, arriving.request(self._limits.body_bytes))
        else:
            del self._arriving[stream]
            self._spawn(self._accept_large(stream, arriving))

    async def _accept_large(self, stream: int, arriving: _Arriving) -> None:
        """Read a call in a thread, because it would hold up others; until then its bytes are pending."""
        try:
            request = await asyncio.to_thread(arriving.request, self._limits.body_bytes)
        finally:
            self._application.pending.bytes -= len(arriving.data)
        if stream in self._calls:
            self._accept(stream, arriving, request)

    def _accept(self, stream: int, arriving: _Arriving, request: HttpRequest) -> None:
        call = GrpcCall(
            self,
            stream,
            arriving.rpc,
            arriving.headers,
            request,
            arrived=arriving.arrived,
            deadline=arriving.arrived + arriving.patience_s,
        )
        self._calls[stream] = call
        self._application.accept(call)

    def _cut_off(self, stream: int) -> None:
        """Take no more of a call that is answered now."""
        self._forget(stream)
        self._calls[stream] = None
        self._cut.add(stream)

    def _forget(self, stream: int) -> None:
        """Let a call arrive no more."""
        arriving = self._arriving.pop(stream, None)
        if arriving is not None:
            self._application.pending.bytes -= len(arriving.data)

    def _drop(self, stream: int) -> None:
        """Forget a call whose client waits for it no more."""
        self._forget(stream)
        call = self._calls.get(stream)
        if call is not None:
            call.is_gone = True
        self._end(stream)

    def _end(self, stream: int) -> None:
        """Forget a call that was answered."""
        self._calls.pop(stream, None)
        self._unsent.pop(stream, None)
        self._cut.discard(stream)
        self._idle_since = self._loop.time()
        if self._ends and not self._calls and not self._arriving:
            self._close(ErrorCodes.NO_ERROR)

    def _send_reply(self, stream: int, headers: Headers, data: bytes, trailers: Headers) -> None:
        if stream not in self._calls:
            return
        try:
            self._h2.send_headers(stream, headers, end_stream=not data)
        except H2Error:
            self._drop(stream)
            return
        self._unsent[stream] = _Unsent(data, trailers, self._loop.time())
        self._send_on(stream)
        self._flush()

    def _send_on(self, stream: int) -> None:
        """Send of a reply what the client has room for, if it still waits for it."""
        try:
            self._send(stream)
        except H2Error:
            # What says that it doesn't may have arrived with this, and is taken next.
            self._drop(stream)

    def _send_waiting(self) -> None:
        """Send on once for all that arrived, because a flood of updates would try every reply by each."""
        if self._has_room:
            self._has_room = False
            for stream in [*self._unsent]:
                self._send_on(stream)

    def _send(self, stream: int) -> None:
        left = self._unsent[stream]
        while left.data:
            room = self._h2.local_flow_control_window(stream)
            part = left.data[: min(room, self._h2.max_outbound_frame_size)]
            if not part:
                return
            left.data = left.data[len(part) :]
            self._h2.send_data(stream, bytes(part), not left.data and not left.trailers)
        if left.trailers:
            self._h2.send_headers(stream, left.trailers, end_stream=True)
        if stream in self._cut:
            self._h2.reset_stream(stream, ErrorCodes.NO_ERROR)
        self._resets = max(0, self._resets - 1)
        self._end(stream)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _go_away(self, last_stream: int, error: ErrorCodes) -> None:
        """Say which calls are still answered; h2 itself would end the connection with it."""
        self._flush()
        if not self.transport.is_closing():
            self.transport.write(GoAwayFrame(0, last_stream, error).serialize())

    def _close(self, error: ErrorCodes) -> None:
        self._go_away(self._last_stream, error)
        self.transport.close()

    def _spawn(self, answering: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
