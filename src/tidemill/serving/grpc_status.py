"""How gRPC says what HTTP says by a status and a header: codes, messages and deadlines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from tidemill.serving.errors import BadRequest

OK, DEADLINE_EXCEEDED = 0, 4
_INVALID, _NOT_FOUND, _DENIED, _EXHAUSTED = 3, 5, 7, 8
_UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE, _UNAUTHENTICATED = 12, 13, 14, 16
_CODES: Mapping[int, int] = {
    400: _INVALID,
    401: _UNAUTHENTICATED,
    403: _DENIED,
    404: _NOT_FOUND,
    405: _UNIMPLEMENTED,
    408: DEADLINE_EXCEEDED,
    413: _EXHAUSTED,
    415: _UNIMPLEMENTED,
    421: _DENIED,
    422: _INVALID,
    429: _EXHAUSTED,
    501: _UNIMPLEMENTED,
    503: _UNAVAILABLE,
}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_MILLISECONDS = {b"H": 3.6e6, b"M": 6e4, b"S": 1e3, b"m": 1.0, b"u": 1e-3, b"n": 1e-6}
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
# Clients refuse headers of more than 8 KB together.
_LONGEST = 4_096


def status_code(status: int) -> int:
    """The code of gRPC for the status of a reply over HTTP that isn't 200."""
    return _CODES.get(status, _INTERNAL)


def encode_message(text: str) -> bytes:
    """A message as a header may have it: percent-encoded, and shortened to what clients read."""
    found = quote(text, safe=_PLAIN)
    if len(found) <= _LONGEST:
        return found.encode()
    kept, size = [], 3
    for character in text:
        part = quote(character, safe=_PLAIN)
        size += len(part)
        if size > _LONGEST:
            break
        kept.append(part)
    return ("".join(kept) + "...").encode()


def timeout_ms(value: bytes) -> float:
    """The milliseconds that a caller waits, by its header `grpc-timeout`; BadRequest if it isn't one."""
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise BadRequest("grpc-timeout is not a number of at most 8 digits and one of H M S m u n")
    # Nobody waits for no time at all; such a deadline has passed.
    return max(int(found[1]) * _MILLISECONDS[found[2]], 1e-6)
