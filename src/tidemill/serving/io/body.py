"""Read the body of a request, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.serving.errors import BadRequest, PayloadTooLarge


class Disconnected(Exception):
    """The client closed the connection before the request was complete."""


async def read_body(receive: Any, headers: Mapping[bytes, bytes], most: int) -> bytes:
    """Return the whole body; PayloadTooLarge for more bytes than that, before they are all read."""
    announced = headers.get(b"content-length")
    if announced is not None and _length(announced) > most:
        raise _too_large(most)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > most:
            raise _too_large(most)
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _length(announced: bytes) -> int:
    try:
        return int(announced)
    except ValueError:
        raise BadRequest("the Content-Length is not a number") from None


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body has more than {most:,} bytes, the most that is read")
