"""Notice frames of HTTP/2 that are too long by their heads: h2 would keep all of one before it refuses it."""

from __future__ import annotations

LONGEST = 16_384
_HEAD, _LENGTH = 9, 3
_PREFACE = 24


class FrameLengths:
    """Follows where the frames of a connection begin."""

    def __init__(self) -> None:
        # Bytes until the next frame begins, and those of its length that have come.
        self._left = _PREFACE
        self._begun = b""

    def take(self, data: bytes) -> bool:
        """Follow what arrived; return False if a frame is longer than it may be."""
        data, at = self._begun + data, self._left
        while at + _LENGTH <= len(data):
            length = int.from_bytes(data[at : at + _LENGTH], "big")
            if length > LONGEST:
                return False
            at += _HEAD + length
        self._left, self._begun = max(0, at - len(data)), data[at:]
        return True
