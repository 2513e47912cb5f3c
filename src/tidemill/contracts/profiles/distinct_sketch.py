"""Sketches that tell how many different values there are (see `domain/distinct.py`).

What is merged is what the whole would have given. Values are told apart by a hash of 32 bits, which
is the same with every version of Polars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.contracts.profiles.distinct_count import EXACT, FEW, MANY, RANKS, REGISTERS

Hashes = npt.NDArray[np.uint32]
Registers = npt.NDArray[np.uint8]

_REST = np.uint32((1 << RANKS) - 1)
# The exponent of a float32 is the position of the first bit of an integer, which it holds exactly.
_FIRST = 127 + RANKS
_SHIFT = np.uint64(32)
_FACTORS = tuple(map(np.uint64, (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0x9E3779B97F4A7C15)))


def mixed(bits: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64-bit patterns, in an order that has nothing to do with theirs."""
    found: npt.NDArray[np.uint64] = bits.view(np.uint64) * _FACTORS[0]
    for factor in _FACTORS[1:]:
        found ^= found >> _SHIFT
        found *= factor
    return found


def hashed(bits: npt.NDArray[Any]) -> Hashes:
    """A hash of each 64-bit pattern."""
    found: Hashes = (mixed(bits) >> _SHIFT).astype(np.uint32)
    return found


def raise_registers(
    registers: Registers, hashes: Hashes, missing: npt.NDArray[np.bool_] | None = None
) -> None:
    """Take hashes in, a row of them for each row of registers; those of missing values don't count."""
    at = (hashes >> np.uint32(RANKS)).astype(np.intp)
    at += np.arange(0, registers.size, REGISTERS)[:, None]
    rest = (hashes & _REST).astype(np.float32).view(np.uint32) >> np.uint32(23)
    # The longest run of zeros after the bits that choose the register, and one; all zeros are 0.0.
    ranks = np.minimum(np.uint32(_FIRST) - rest, np.uint32(RANKS + 1)).astype(np.uint8)
    if missing is not None:
        ranks[missing] = 0
    np.maximum.at(registers.reshape(-1), at.ravel(), ranks.ravel())


def different(hashes: Hashes) -> Hashes:
    """The hashes in rising order, each once."""
    ordered = np.sort(hashes)
    if ordered.size < 2:
        return ordered
    first: Hashes = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return first


def sketch_of(hashes: Hashes) -> bytes:
    """The sketch of values by their hashes; each may come any number of times."""
    registers = np.zeros((1, REGISTERS), np.uint8)
    raise_registers(registers, hashes[None, :])
    return sketch(registers[0], hashes)


def sketch(registers: Registers, hashes: Hashes) -> bytes:
    """The sketch of values by their registers, and their hashes if those fill no more than 64."""
    if np.count_nonzero(registers) <= EXACT:
        few = different(hashes)
        if few.size <= EXACT:
            return FEW + few.astype("<u4").tobytes() if few.size else b""
    return MANY + registers.tobytes()


def merge_sketches(sketches: Sequence[bytes]) -> bytes:
    """The sketch of all values together; of none it is empty."""
    if not sketches:
        return b""
    few = [
        np.frombuffer(found, "<u4", offset=1).astype(np.uint32)
        for found in sketches
        if found[:1] == FEW
    ]
    listed = np.concatenate([np.empty(0, np.uint32), *few])
    many = [_registers(found) for found in sketches if found[:1] == MANY]
    if not many:
        return sketch_of(listed)
    registers: Registers = np.maximum.reduce(many)[None, :].copy()
    raise_registers(registers, listed[None, :])
    return MANY + registers.tobytes()


def _registers(found: bytes) -> Registers:
    return np.frombuffer(found, np.uint8, offset=1)
