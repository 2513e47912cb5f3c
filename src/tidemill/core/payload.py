"""The bytes of an object that is stored: `bytes`, or another buffer, which need not be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer as Payload
else:
    # What crosses between processes is decoded as bytes.
    Payload = bytes

__all__ = ["Payload", "byte_count"]


def byte_count(payload: Payload) -> int:
    """The number of bytes of a buffer."""
    return memoryview(payload).nbytes
