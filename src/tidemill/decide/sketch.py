"""How many different values there are, from sketches that merge: exact up to 64, then HyperLogLog.

A sketch is the sorted hashes of its values while there are few, and 1,024 registers of a HyperLogLog
when there are many; what is merged is what the whole would have given. The estimate of the latter is
off by 3.3 % (one standard deviation). Source: Ertl, New cardinality estimation algorithms for
HyperLogLog sketches, 2017, whose estimator needs no correction of bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

Hashes = npt.NDArray[np.uint64]

EXACT = 64
_BITS = 10
_REGISTERS = 1 << _BITS
_RANKS = 64 - _BITS
_FEW, _MANY = b"f", b"m"


def mixed(bits: npt.NDArray[Any]) -> Hashes:
    """A hash of each 64-bit pattern (the finalizer of MurmurHash3)."""
    hashes = bits.view(np.uint64).copy()
    for factor in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        hashes ^= hashes >> np.uint64(33)
        hashes *= factor
    hashes ^= hashes >> np.uint64(33)
    return hashes


def hashes_of(texts: Iterable[bytes]) -> Hashes:
    """A hash of each text."""
    return np.fromiter(map(xxh3_64_intdigest, texts), np.uint64)


def sketch_of(hashes: Hashes) -> bytes:
    """The sketch of values by their hashes; each may come any number of times."""
    # Among few rows there are few values, and among many the first ones mostly settle it.
    if hashes.size <= EXACT or np.unique(hashes[: 4 * EXACT]).size <= EXACT:
        found = np.unique(hashes)
        if found.size <= EXACT:
            return _FEW + found.astype("<u8").tobytes()
    return _MANY + _registers(hashes).tobytes()


def merge_sketches(sketches: Sequence[bytes]) -> bytes:
    """The sketch of all values together; of none it is empty."""
    if not sketches:
        return b""
    few = [_few(sketch) for sketch in sketches if sketch[:1] == _FEW]
    many = [_many(sketch) for sketch in sketches if sketch[:1] == _MANY]
    listed = np.concatenate([np.empty(0, np.uint64), *few])
    if not many:
        return sketch_of(listed)
    registers: npt.NDArray[np.uint8] = np.maximum.reduce([_registers(listed), *many])
    return _MANY + registers.tobytes()


def distinct(sketch: bytes) -> int:
    """The number of different values, estimated where there are more than 64."""
    if sketch[:1] != _MANY:
        return len(sketch) // 8
    counts = np.bincount(_many(sketch), minlength=_RANKS + 2)
    total = _REGISTERS * _tau(1 - counts[_RANKS + 1] / _REGISTERS)
    for rank in range(_RANKS, 0, -1):
        total = (total + float(counts[rank])) / 2
    total += _REGISTERS * _sigma(counts[0] / _REGISTERS)
    return round(_REGISTERS**2 / (2 * math.log(2) * total))


def _few(sketch: bytes) -> Hashes:
    return np.frombuffer(sketch, "<u8", offset=1).astype(np.uint64)


def _many(sketch: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(sketch, np.uint8, offset=1)


def _registers(hashes: Hashes) -> npt.NDArray[np.uint8]:
    """By the first bits of the hashes, the longest run of zeros after them, and one."""
    registers = np.zeros(_REGISTERS, np.uint8)
    rest = (hashes << np.uint64(_BITS)) >> np.uint64(_BITS)
    # Of a float the exponent is the position of the first bit, if the last bit can't round it up.
    rest &= ~(rest >> np.uint64(_RANKS - 1))
    _, length = np.frexp(rest.astype(np.float64))
    np.maximum.at(registers, hashes >> np.uint64(_RANKS), (_RANKS + 1 - length).astype(np.uint8))
    return registers


def _sigma(share: float) -> float:
    total, weight = share, 1.0
    while True:
        share *= share
        before = total
        total += share * weight
        weight *= 2
        if total == before:
            return total


def _tau(share: float) -> float:
    total, weight = 1 - share, 1.0
    while True:
        share = math.sqrt(share)
        before = total
        weight /= 2
        total -= (1 - share) ** 2 * weight
        if total == before:
            return total / 3
