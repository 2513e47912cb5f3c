"""Build and merge sketches of distinct values; `distinct_count` evaluates them.

A merged sketch equals the sketch of all values together. Values are identified by a 32-bit hash that
doesn't depend on the version of Polars.
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


def mix_bits(bits: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Mix the bits of 64-bit patterns (the first step of their hash)."""
    found: npt.NDArray[np.uint64] = bits.view(np.uint64) * _FACTORS[0]
    for factor in _FACTORS[1:]:
        found ^= found >> _SHIFT
        found *= factor
    return found


def hash_bits(bits: npt.NDArray[Any]) -> Hashes:
    """Hash each 64-bit pattern to 32 bits."""
    found: Hashes = (mix_bits(bits) >> _SHIFT).astype(np.uint32)
    return found


def raise_registers(
    registers: Registers, hashes: Hashes, missing: npt.NDArray[np.bool_] | None = None
) -> None:
    """Add hashes to registers, one row of hashes per row of registers, except those of missing values."""
    at = (hashes >> np.uint32(RANKS)).astype(np.intp)
    at += np.arange(0, registers.size, REGISTERS)[:, None]
    rest = (hashes & _REST).astype(np.float32).view(np.uint32) >> np.uint32(23)
    # The run of zeros after the bits that choose the register, plus one; if all are zeros, the float is 0.0.
    ranks = np.minimum(np.uint32(_FIRST) - rest, np.uint32(RANKS + 1)).astype(np.uint8)
    if missing is not None:
        ranks[missing] = 0
    np.maximum.at(registers.reshape(-1), at.ravel(), ranks.ravel())


def distinct_hashes(hashes: Hashes) -> Hashes:
    """Return the distinct hashes in ascending order."""
    ordered = np.sort(hashes)
    if ordered.size < 2:
        return ordered
    first: Hashes = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return first


def sketch_of(hashes: Hashes) -> bytes:
    """Return the sketch of hashed values; duplicates are allowed."""
    registers = np.zeros((1, REGISTERS), np.uint8)
    raise_registers(registers, hashes[None, :])
    return encode_sketch(registers[0], hashes)


def encode_sketch(registers: Registers, hashes: Hashes) -> bytes:
    """Encode a sketch: the distinct hashes if they are at most 64, else the registers."""
    if np.count_nonzero(registers) <= EXACT:
        few = distinct_hashes(hashes)
        if few.size <= EXACT:
            return FEW + few.astype("<u4").tobytes() if few.size else b""
    return MANY + registers.tobytes()


def merge_sketches(sketches: Sequence[bytes]) -> bytes:
    """Merge sketches; the result is empty without any."""
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
