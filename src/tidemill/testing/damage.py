"""Damage the bytes of a file, for tests of what reads it."""

from __future__ import annotations

import random
from collections.abc import Iterator


def damaged(payload: bytes, count: int) -> Iterator[bytes]:
    """Bytes that differ from a file: bits flipped, a part cut out, overwritten, or the end missing."""
    chance = random.Random(1)
    for number in range(count):
        found = bytearray(payload)
        at = chance.randrange(len(found))
        match number % 4:
            case 0:
                for _ in range(1 + number % 5):
                    found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + chance.randrange(1, 200)]
            case 2:
                found[at : at + 40] = chance.randbytes(40)
            case _:
                del found[at:]
        yield bytes(found)
