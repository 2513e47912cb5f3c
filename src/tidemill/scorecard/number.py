"""One of the four numbers of a scorecard: its value, how sure it is, where it goes, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from math import isfinite

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.scorecard.window import ScoreWindow, ScoreWindows

# Changes by less than this share aren't called a trend.
_STEADY = 0.05
# What may be missed of a share without a target, and of one that is to be nearly 1.
_MISSABLE, _LEAST_MISSABLE = 0.1, 0.001


class NumberUnit(StrEnum):
    """What a number counts: a length of time, money, or a share of the time."""

    SECONDS = "seconds"
    MONEY = "money"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPoint:
    """The value in a week, which begins on the day `first`; None where there are no data."""

    first: str
    value: float | None = None
    n: int = 0


def weekly_points(
    windows: ScoreWindows, value_of: Callable[[ScoreWindow], tuple[float | None, int]]
) -> tuple[NumberPoint, ...]:
    """A point for each of the last weeks, of which `value_of` gives the value and of how many cases it is."""
    values = [(windows.first_day(week), value_of(week)) for week in windows.weeks]
    return tuple(NumberPoint(first=day, value=value, n=n) for day, (value, n) in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreNumber:
    """A number over a window; money is in `currency`.

    `value` is None where data are `missing`, which says why. `high` is its 90th percentile, or what
    `high_name` says, in `high_unit` if that is another one. Values that grow (`value_grows`, `high_grows`)
    are lower bounds. The number is of `n` cases, each a `counted` (a noun). `previous` is the value in the
    window before, `points` those of the last weeks. `cause` says what made it change most, `facts` what
    belongs beside it.
    """

    name: str
    title: str
    unit: NumberUnit
    counted: str
    n: int = 0
    value: float | None = None
    value_grows: bool = False
    high: float | None = None
    high_name: str = "p90"
    high_unit: NumberUnit | None = None
    high_grows: bool = False
    currency: str = ""
    missing: str = ""
    previous: float | None = None
    points: tuple[NumberPoint, ...] = ()
    target: float | None = None
    cause: str = ""
    action: str = ""
    command: str = ""
    facts: tuple[str, ...] = ()

    @property
    def cases(self) -> str:
        """How many cases the number is of, such as "4 errors"."""
        return plural(self.n, self.counted)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target or a value, or while it may still be missed."""
        if self.target is None or self.value is None:
            return None
        if self.unit is NumberUnit.SHARE:
            return self.value >= self.target
        is_within = self.value <= self.target
        return None if is_within and self.value_grows else is_within

    @property
    def change(self) -> float | None:
        """The relative change since the window before; None where one of the values is unknown, or 0."""
        if self.value is None or not self.previous:
            return None
        found = self.value / self.previous - 1
        return found if isfinite(found) else None

    @property
    def trend(self) -> str:
        """Whether it is better or worse than in the window before, or steady; "" if that isn't known."""
        change = self._difference
        if change is None:
            return ""
        better = change > 0 if self.unit is NumberUnit.SHARE else change < 0
        found = "steady" if abs(change) < _STEADY else "better" if better else "worse"
        # What may still grow can only be known to be worse.
        return "" if self.value_grows and found != "worse" else found

    @property
    def _difference(self) -> float | None:
        """The change; of a share, as a part of what the target lets be missed."""
        if self.unit is not NumberUnit.SHARE:
            return self.change
        if self.value is None or self.previous is None:
            return None
        missable = _MISSABLE if self.target is None else max(_LEAST_MISSABLE, 1 - self.target)
        return (self.value - self.previous) / missable
