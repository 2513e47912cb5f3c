"""The reply to a request that is refused because too many wait: bytes that cost nearly nothing to make."""

from __future__ import annotations

from collections.abc import Iterable

STATUS = 503
RETRY_AFTER_S = 1
MESSAGE = "too many requests wait for an answer; try again later"
BODY = b'{"error":"%b"}' % MESSAGE.encode()
_HEAD = (
    b"HTTP/1.1 %d Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"retry-after: %d\r\nx-request-id: "
) % (STATUS, len(BODY), RETRY_AFTER_S)


def overload_reply(
    request_id: bytes, headers: Iterable[tuple[bytes, bytes]], *, closes: bool
) -> bytes:
    """The reply with an id, further headers, and whether the connection is closed after it."""
    more = b"".join(b"%b: %b\r\n" % header for header in headers)
    close = b"connection: close\r\n" if closes else b""
    return b"%b%b\r\n%b%b\r\n%b" % (_HEAD, request_id, more, close, BODY)
