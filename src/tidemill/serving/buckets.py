"""Histograms with buckets that grow by the factor 1.5 or 4/3: two for each power of two."""

from __future__ import annotations

from collections.abc import Sequence

# Times are in units of 1,024 ns. The first bucket ends at 16 units, the last but one at 2 ** 25 (34 s).
_UNIT_BITS = 10
_FIRST_BITS = 4
_LAST_BITS = 25
LATENCY_BUCKETS = 2 * (_LAST_BITS - _FIRST_BITS) + 2
# The last one has no end.
_LAST = LATENCY_BUCKETS - 1
BATCH_BUCKETS = 12


def latency_bucket(nanoseconds: int) -> int:
    """The bucket of a time; a time that equals the end of a bucket is in it."""
    units = (nanoseconds - 1) >> _UNIT_BITS
    bits = units.bit_length()
    if bits <= _FIRST_BITS:
        return 0
    found = 2 * (bits - _FIRST_BITS) - 1 + ((units >> (bits - 2)) & 1)
    return found if found < _LAST else _LAST


def latency_ends() -> tuple[float, ...]:
    """The ends of all buckets but the last, in seconds."""
    units = [1 << _FIRST_BITS]
    for bits in range(_FIRST_BITS, _LAST_BITS):
        units += (3 << (bits - 1), 2 << bits)
    return tuple((each << _UNIT_BITS) / 1e9 for each in units)


def batch_bucket(requests: int) -> int:
    """The bucket of a batch: up to 1, 2, 4, 8, ... requests."""
    return min((requests - 1).bit_length(), BATCH_BUCKETS - 1)


def batch_ends() -> tuple[int, ...]:
    """The ends of all buckets but the last, in requests."""
    return tuple(1 << bits for bits in range(BATCH_BUCKETS - 1))


def quantile(counts: Sequence[int], share: float) -> float:
    """The seconds that at most this share of the requests exceeds not; the end of a bucket.

    NaN without requests, infinity in the last bucket.
    """
    rank, ends = share * sum(counts), latency_ends()
    if not rank:
        return float("nan")
    seen = 0
    for count, end in zip(counts, ends, strict=False):
        seen += count
        if seen >= rank:
            return end
    return float("inf")
