"""What the work on each stage cost in any window, summed up once for many windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import accumulate
from operator import attrgetter

from tidemill.scorecard.inference_costs import WorkDay

_AMOUNTS = (attrgetter("spent"), attrgetter("rows"), attrgetter("stored"))


class WorkSums:
    """Sums of the work of some stages by day from the `first` on; texts of days are ordered as they are."""

    def __init__(self, work: Mapping[str, Mapping[str, WorkDay]], first: str = "") -> None:
        self._sums = {stage: _running(days, first) for stage, days in work.items()}

    def between(self, stage: str, first: str, last: str) -> tuple[int, int, int]:
        """What was spent, the rows that were scored, and what storage cost, from a day to another one."""
        days, spent, rows, stored = self._sums[stage]
        start = bisect_left(days, first)
        end = max(start, bisect_right(days, last))
        return spent[end] - spent[start], rows[end] - rows[start], stored[end] - stored[start]


def _running(
    work: Mapping[str, WorkDay], first: str
) -> tuple[list[str], list[int], list[int], list[int]]:
    """The days in order, and the sums before each, and of all."""
    days = sorted(work)
    del days[: bisect_left(days, first)]
    every = [*map(work.__getitem__, days)]
    # A team has tens of thousands of these days.
    spent, rows, stored = ([*accumulate(map(get, every), initial=0)] for get in _AMOUNTS)
    return days, spent, rows, stored
