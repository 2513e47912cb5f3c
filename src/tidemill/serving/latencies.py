"""Count latencies in buckets of 1/128 of their value, as HdrHistogram does.

Some thousand counters hold any number of requests, and no quantile is wrong by more than 0.8 %.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import ceil

_BITS = 7


class Latencies:
    """The distribution of times in nanoseconds; the longest one is kept as it is."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self.count = 0
        self.total = 0
        self.longest = 0

    def add(self, nanoseconds: int, count: int = 1) -> None:
        """Count a time; a negative one counts as 0."""
        nanoseconds = max(0, nanoseconds)
        at = bucket_of(nanoseconds)
        if at >= len(self._counts):
            self._counts += [0] * (at + 1 - len(self._counts))
        self._counts[at] += count
        self.count += count
        self.total += count * nanoseconds
        self.longest = max(self.longest, nanoseconds)

    @property
    def mean(self) -> float:
        """The mean in nanoseconds, NaN without times."""
        return self.total / self.count if self.count else float("nan")

    def quantile(self, share: float) -> float:
        """The time in nanoseconds that at least this share of the times doesn't exceed; NaN without times."""
        if not self.count:
            return float("nan")
        rank = min(max(1, ceil(share * self.count)), self.count)
        at = bisect_left(list(accumulate(self._counts)), rank)
        return float(min(bucket_start(at + 1) - 1, self.longest))

    def as_if_sent_every(self, interval: int) -> Latencies:
        """The latencies of callers who send every `interval` nanoseconds, and wait for no earlier reply.

        A caller that waits for each reply sends nothing during a long one. Those that it would have sent
        would have waited for the rest of that time (the correction of HdrHistogram).
        """
        found = Latencies()
        for at, count in enumerate(self._counts):
            if count:
                last = min(bucket_start(at + 1) - 1, self.longest)
                found.add(last, count)
                found._add_unsent(last, max(1, interval), count)
        return found

    def _add_unsent(self, longest: int, interval: int, count: int) -> None:
        """Count `longest - interval`, `longest - 2 * interval` and so on, down to `interval`."""
        if longest < 2 * interval:
            return
        for at in range(bucket_of(interval), bucket_of(longest - interval) + 1):
            first = max(bucket_start(at), interval)
            end = min(bucket_start(at + 1), longest - interval + 1)
            # Multiples j >= 1 with first <= longest - j * interval < end.
            unsent = (longest - first) // interval - (longest - end) // interval
            if unsent > 0:
                self.add((first + end) // 2, count * unsent)


def bucket_of(nanoseconds: int) -> int:
    """The bucket of a time."""
    shift = max(0, nanoseconds.bit_length() - _BITS - 1)
    return (shift << _BITS) + (nanoseconds >> shift)


def bucket_start(bucket: int) -> int:
    """The smallest time in a bucket."""
    shift = max(0, (bucket >> _BITS) - 1)
    return (bucket - (shift << _BITS)) << shift
