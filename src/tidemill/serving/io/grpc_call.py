"""One call over gRPC: the application answers it as the request over HTTP that asks the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from tidemill.serving.grpc_replies import is_answer, write_message
from tidemill.serving.grpc_requests import HttpRequest
from tidemill.serving.grpc_status import DEADLINE_EXCEEDED, OK, encode_message, status_code
from tidemill.serving.io.app import FAULT
from tidemill.serving.io.runner import USER_ERRORS
from tidemill.serving.oip import BINARY, HEADER_LENGTH
from tidemill.serving.overload_reply import MESSAGE, RETRY_AFTER_S, STATUS

Headers = Sequence[tuple[bytes, bytes]]

_log = logging.getLogger("tidemill.serving")
_LENGTH = HEADER_LENGTH.encode()
# The headers of a reply over HTTP that a reply over gRPC has as well.
_KEPT = (b"retry-after", b"www-authenticate", b"x-request-id")


class ReplySender(Protocol):
    """The connection of a call."""

    is_read: bool

    def begin(self, call: GrpcCall) -> None:
        """Begin a task that answers a call."""

    def reply(
        self, stream: int, message: bytes | None, headers: Headers, trailers: Headers
    ) -> None:
        """Send the reply to a call; without a message its headers and trailers are one."""

    def close_gently(self) -> None:
        """Let the client make its next calls on another connection."""


class GrpcCall:
    """A call whose message was read: `request` asks over HTTP what it asks.

    Its caller stops waiting at `deadline` of the monotonic clock.
    """

    closes = False

    def __init__(
        self,
        connection: ReplySender,
        stream: int,
        rpc: str,
        headers: Headers,
        request: HttpRequest,
        *,
        arrived: float,
        deadline: float,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._rpc = rpc
        self._request = request
        self._deadline = deadline
        self._status = 500
        self._headers: Headers = ()
        self.arrived = arrived
        self.is_gone = False
        own = [(b"content-length", b"%d" % len(request.body))]
        if request.json_length:
            own.append((b"content-type", BINARY.encode()))
            own.append((_LENGTH, b"%d" % request.json_length))
        self.scope = {
            "type": "http",
            "method": request.method,
            "raw_path": request.path,
            "query_string": b"",
            "headers": [*headers, *own],
            "tidemill.arrived": arrived,
            FAULT: request.fault,
        }

    @property
    def is_read(self) -> bool:
        """Whether its client reads what is sent to it."""
        return self._connection.is_read

    def begin(self) -> None:
        """Begin a task that answers it."""
        self._connection.begin(self)

    async def answer(self, application: Any) -> None:
        """Answer it."""
        try:
            await application(self.scope, self._receive, self._send)
        # A fault of ours may raise anything.
        except USER_ERRORS:
            _log.exception("a call of %s failed", self._rpc)
            self._fail(500, "the server failed to answer the call", ())

    def refuse(
        self, request_id: bytes, headers: Iterable[tuple[bytes, bytes]], *, closes: bool
    ) -> None:
        """Reply that too many requests wait, without a task."""
        kept = [(b"x-request-id", request_id), (b"retry-after", b"%d" % RETRY_AFTER_S)]
        self._fail(STATUS, MESSAGE, kept)
        if closes:
            self._connection.close_gently()

    async def _receive(self) -> dict[str, Any]:
        if self._request.fault is not None:
            raise self._request.fault
        return {"type": "http.request", "body": self._request.body}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
            return
        headers = dict(self._headers)
        kept = [(name, headers[name]) for name in _KEPT if name in headers]
        body = message["body"]
        if is_answer(self._status, body):
            length = headers.get(_LENGTH)
            found = write_message(self._rpc, body, None if length is None else int(length))
            self._connection.reply(self._stream, found, kept, [(b"grpc-status", b"%d" % OK)])
        else:
            self._fail(self._status, msgspec.json.decode(body)["error"], kept)
        if b"connection" in headers:
            self._connection.close_gently()

    def _fail(self, status: int, message: str, headers: Headers) -> None:
        code = status_code(status)
        if status == STATUS and time.monotonic() >= self._deadline:
            code = DEADLINE_EXCEEDED
        self._connection.reply(self._stream, None, headers, failure(code, message))


def failure(code: int, message: str) -> Headers:
    """The trailers of a call that isn't answered."""
    return [(b"grpc-status", b"%d" % code), (b"grpc-message", encode_message(message))]
