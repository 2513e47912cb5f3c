"""What the work on each stage cost in any window, summed up once for many windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate

from tidemill.scorecard.inference_costs import WorkDay


class WorkSums:
    """Sums of the work of some stages by day, whose texts are ordered as the days are."""

    def __init__(self, work: Mapping[str, Mapping[str, WorkDay]]) -> None:
        self._days = {stage: sorted(days) for stage, days in work.items()}
        self._sums = {
            stage: [
                _running(getattr(work[stage][day], name) for day in days)
                for name in ("spent", "rows", "stored")
            ]
            for stage, days in self._days.items()
        }

    def between(self, stage: str, first: str, last: str) -> tuple[int, int, int]:
        """What was spent, the rows that were scored, and what storage cost, from a day to another one."""
        days = self._days[stage]
        start = bisect_left(days, first)
        end = max(start, bisect_right(days, last))
        spent, rows, stored = (sums[end] - sums[start] for sums in self._sums[stage])
        return spent, rows, stored


def _running(values: Iterable[int]) -> list[int]:
    """The sums of all values before each, and of all."""
    return [*accumulate(values, initial=0)]
