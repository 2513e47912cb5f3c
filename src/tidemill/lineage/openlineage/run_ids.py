"""Ids of runs in OpenLineage: the same run has the same id each time, and later runs have higher ones."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID


def run_uuid(started: float, *parts: str) -> str:
    """A UUID of version 7: the start in milliseconds, then a digest of `parts` in place of chance."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=10).digest()
    low = int.from_bytes(digest)
    milliseconds = max(0, int(started * 1000)) & (2**48 - 1)
    high = milliseconds << 16 | 7 << 12 | low >> 62 & 0xFFF
    return str(UUID(int=high << 64 | 0b10 << 62 | low & (2**62 - 1)))
