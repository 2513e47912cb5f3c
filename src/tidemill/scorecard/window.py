"""The windows of a scorecard: the last days, as many days before them, and the last weeks."""

from __future__ import annotations

from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import day_start, local_day

WEEKS = 8
_DAY_S = 86_400.0
# The day that began so many whole days before another may have begun an hour earlier or later.
_CLOCK_CHANGE_S = 7_200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWindow:
    """The time from `since` to `until` (Unix seconds), both the beginning of a day or now."""

    since: float
    until: float

    def contains(self, at: float) -> bool:
        """Whether a moment is in the window."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWindows:
    """The window that a scorecard is about, the one `before`, and `weeks`, the oldest first.

    Days are those of the time zone `zone`; the window begins with a whole day, and ends `now`.
    """

    zone: str
    now: float
    current: ScoreWindow
    before: ScoreWindow
    weeks: tuple[ScoreWindow, ...]

    def first_day(self, window: ScoreWindow) -> str:
        """The day with which a window begins."""
        return local_day(window.since, self.zone)


def score_windows(now: float, length_s: float, zone: str) -> ScoreWindows:
    """The windows of so many seconds as of now (Unix seconds)."""
    since = _day_before(now, length_s, zone)
    starts = [_day_before(now, (WEEKS - week) * 7 * _DAY_S, zone) for week in range(WEEKS)]
    return ScoreWindows(
        zone=zone,
        now=now,
        current=ScoreWindow(since=since, until=now),
        before=ScoreWindow(since=_day_before(since + _CLOCK_CHANGE_S, length_s, zone), until=since),
        weeks=tuple(ScoreWindow(since=a, until=b) for a, b in pairwise([*starts, now])),
    )


def _day_before(at: float, length_s: float, zone: str) -> float:
    """The beginning of the day on which a moment so long ago was."""
    return day_start(local_day(at - length_s, zone), zone)
