"""Medians of the last values of a series, kept in order so that none is sorted again."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass


@dataclass(slots=True, kw_only=True)
class RollingMedian:
    """The last `most` values, `recent` in the order of their arrival and `ordered` by size."""

    most: int
    recent: list[float] = field(default_factory=list)
    ordered: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ordered)

    def add(self, value: float) -> None:
        """Add a value that isn't NaN, and forget the oldest beyond `most`."""
        self.recent.append(value)
        insort(self.ordered, value)
        if len(self.recent) > self.most:
            del self.ordered[bisect_left(self.ordered, self.recent.pop(0))]

    def median(self) -> float:
        """The median of the values, of which there is at least one."""
        half, odd = divmod(len(self.ordered), 2)
        return self.ordered[half] if odd else (self.ordered[half - 1] + self.ordered[half]) / 2
