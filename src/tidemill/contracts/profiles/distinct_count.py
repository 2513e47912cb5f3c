"""Estimate the number of distinct values from a sketch.

A sketch holds the 32-bit hashes of its values if they are few (`f`), else the registers of a HyperLogLog
(`m`): for each prefix of the hashes, the longest run of zeros after it, plus one.
Source: Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017; the estimator needs no
bias correction.
"""

from __future__ import annotations

import math
from collections import Counter

# The most values that are counted exactly.
EXACT = 64
FEW, MANY = b"f", b"m"
BITS = 9
REGISTERS = 1 << BITS
RANKS = 32 - BITS


def count_distinct(sketch: bytes) -> int:
    """Return the number of distinct values: exact up to 64, then with a standard error of 4.6 %."""
    if sketch[:1] != MANY:
        return len(sketch) // 4
    counts = Counter(sketch[1:])
    total = REGISTERS * _tau(1 - counts[RANKS + 1] / REGISTERS)
    for rank in range(RANKS, 0, -1):
        total = (total + counts[rank]) / 2
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    estimate = REGISTERS**2 / (2 * math.log(2) * total)
    # Correct for hash collisions.
    return round(-(2.0**32) * math.log1p(-min(estimate / 2.0**32, 0.999)))


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
