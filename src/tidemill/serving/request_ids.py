"""Name requests, so that a caller's logs and ours can be matched."""

from __future__ import annotations

import re
from itertools import count

# Nothing that means something in a header, a log line or a terminal.
_SANE = re.compile(rb"[A-Za-z0-9._:=+/-]{1,128}")


class RequestIds:
    """Takes the ids that callers send, and makes ids that begin with `prefix` for other requests."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._numbers = count(1)

    def choose(self, sent: bytes | None) -> bytes:
        """The id of a request whose X-Request-Id is `sent`; an odd one is replaced."""
        if sent is not None and _SANE.fullmatch(sent):
            return sent
        return b"%b-%d" % (self._prefix, next(self._numbers))
