"""Read the body of a request, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.serving.errors import BadRequest, PayloadTooLarge, Unavailable


class Disconnected(Exception):
    """The client closed the connection before the request was complete."""


class PendingBodies:
    """Counts the bytes of bodies that are still arriving; there may be `most`."""

    def __init__(self, most: int) -> None:
        self.bytes = 0
        self._most = most

    def add(self, size: int) -> None:
        """Count bytes; Unavailable if there are too many then."""
        self.bytes += size
        if self.bytes > self._most:
            raise Unavailable("too many large bodies are arriving at once")


async def read_body(
    receive: Any, headers: Mapping[bytes, bytes], most: int, pending: PendingBodies
) -> bytes:
    """Return the whole body; PayloadTooLarge for more bytes than that, before they are all read.

    Unavailable if the bodies that are `pending` are too large together.
    """
    announced = headers.get(b"content-length")
    if announced is not None and _length(announced) > most:
        raise too_large(most)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > most:
            raise too_large(most)
        return body
    parts, size = [body], len(body)
    try:
        pending.add(size)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size += len(part)
            parts.append(part)
            pending.add(len(part))
            if size > most:
                raise too_large(most)
    finally:
        pending.bytes -= size
    return b"".join(parts)


def _length(announced: bytes) -> int:
    try:
        return int(announced)
    except ValueError:
        raise BadRequest("the Content-Length is not a number") from None


def too_large(most: int) -> PayloadTooLarge:
    """The error for a body of more than so many bytes."""
    return PayloadTooLarge(f"the body has more than {most:,} bytes, the most that is read")
