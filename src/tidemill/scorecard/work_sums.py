"""What the work on each stage cost in any window, summed up once for many windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from tidemill.scorecard.inference_costs import WorkDay


class WorkSums:
    """Sums of the work of some stages by day, whose texts are ordered as the days are."""

    def __init__(self, work: Mapping[str, Mapping[str, WorkDay]]) -> None:
        self._sums = {stage: _running(days) for stage, days in work.items()}

    def between(self, stage: str, first: str, last: str) -> tuple[int, int, int]:
        """What was spent, the rows that were scored, and what storage cost, from a day to another one."""
        days, sums = self._sums[stage]
        start = bisect_left(days, first)
        end = max(start, bisect_right(days, last))
        before, all_of_them = sums[start], sums[end]
        spent, rows, stored = (b - a for a, b in zip(before, all_of_them, strict=True))
        return spent, rows, stored


def _running(work: Mapping[str, WorkDay]) -> tuple[list[str], list[tuple[int, int, int]]]:
    """The days in order, and the sums before each, and of all."""
    days = sorted(work)
    spent = rows = stored = 0
    sums = [(0, 0, 0)]
    for day in days:
        each = work[day]
        spent, rows, stored = spent + each.spent, rows + each.rows, stored + each.stored
        sums.append((spent, rows, stored))
    return days, sums
