"""Confidence intervals of metrics and of differences between two models, over days.

Rows of one day are dependent (a storm delays all flights), so that the days are the observations. The
standard error is that of the delete-one-day jackknife, which holds for any smooth metric; the quantile is
Student's, with the degrees of freedom that days of unequal size leave (Kish's effective number less one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.student import t_quantile, t_upper_tail
from tidemill.workflow.gate import Bounds, Daily, Goal, Interval, Scores, Slice

# Fewer days can't tell: their intervals would be far from what they promise.
MIN_DAYS = 14
# The confidence of intervals that are shown where none is asked for.
SHOWN_CONFIDENCE = 0.95
# Metrics that aren't means are computed again without each block of days.
MAX_BLOCKS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class JackknifeEstimate:
    """A figure, its standard error over days, and the degrees of freedom of that.

    The figure is known to be within `bounds`.
    """

    value: float
    error: float
    df: float
    days: int
    bounds: Bounds = (None, None)

    @property
    def is_enough(self) -> bool:
        """Whether there are enough days to tell."""
        return self.days >= MIN_DAYS

    def interval(self, confidence: float) -> Interval:
        """Return the two-sided confidence interval, without the part that is out of bounds.

        No true figure is in that part, so that the interval contains it as often as the whole one does.
        """
        margin = t_quantile((1 + confidence) / 2, self.df) * self.error
        low, high = self.value - margin, self.value + margin
        least, greatest = self.bounds
        # Weights below zero may bring the figure itself out of bounds.
        low = low if least is None else max(low, min(least, self.value))
        high = high if greatest is None else min(high, max(greatest, self.value))
        return Interval(value=self.value, low=low, high=high, confidence=confidence, days=self.days)

    def chance_above(self) -> float:
        """Return the one-sided p-value of the hypothesis that the true figure is at most zero."""
        if self.error == 0:
            return 0.0 if self.value > 0 else 1.0
        return t_upper_tail(self.value / self.error, self.df)


def metric_estimate(
    scores: Scores, metric: str, part: Slice | None = None
) -> JackknifeEstimate | None:
    """Estimate a metric of one model, or of a slice of its scores.

    None without daily figures, or where they aren't numbers.
    """
    of = scores if part is None else part
    if of.daily is None or metric not in of.daily.metrics:
        return None
    found = _estimate(of.metrics[metric], leave_out(of.daily, metric), of.daily)
    return replace(found, bounds=scores.bounds.get(metric, found.bounds)) if found else None


def metric_interval(scores: Scores, metric: str, part: Slice | None = None) -> Interval | None:
    """The interval of a metric that is shown; None if it can't be told, or of too few days."""
    estimate = metric_estimate(scores, metric, part)
    if estimate is None or not estimate.is_enough:
        return None
    return estimate.interval(SHOWN_CONFIDENCE)


def gain_estimate(
    one: Scores | Slice, other: Scores | Slice, metric: str, goal: Goal, *, by: float = 0.0
) -> JackknifeEstimate | None:
    """Estimate by how much `one` is better than `other`, paired by day; negative where it is worse.

    With `by` the comparison is with `other` improved by that relative share (made worse, if negative). None
    without daily figures, or if the two were scored on other rows.
    """
    mine, theirs = one.daily, other.daily
    if mine is None or theirs is None or (mine.days, mine.rows) != (theirs.days, theirs.rows):
        return None
    if metric not in mine.metrics or metric not in theirs.metrics:
        return None
    values = [
        gain(a, b, goal, by=by)
        for a, b in zip(leave_out(mine, metric), leave_out(theirs, metric), strict=True)
    ]
    value = gain(one.metrics[metric], other.metrics[metric], goal, by=by)
    return _estimate(value, values, mine)


def gain(mine: float, theirs: float, goal: Goal, *, by: float = 0.0) -> float:
    """Return how much better one value of a metric is than another, improved by the relative share `by`."""
    if goal is Goal.ZERO:
        mine, theirs = abs(mine), abs(theirs)
    slack = abs(theirs) * by if by else 0.0
    return mine - (theirs + slack) if goal is Goal.HIGH else (theirs - slack) - mine


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several comparisons so that the chance of any false alarm stays (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, worst = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted


def _estimate(value: float, left_out: Sequence[float], daily: Daily) -> JackknifeEstimate | None:
    count = len(left_out)
    if count < 2 or not math.isfinite(value) or not all(map(math.isfinite, left_out)):
        return None
    middle = math.fsum(left_out) / count
    squares = math.fsum((each - middle) ** 2 for each in left_out)
    sizes = [sum(daily.rows[start:stop]) for start, stop in day_blocks(daily.days)]
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    return JackknifeEstimate(
        value=value,
        error=math.sqrt((count - 1) / count * squares),
        df=max(1.0, effective - 1),
        days=len(daily.days),
    )


def leave_out(daily: Daily, metric: str) -> tuple[float, ...]:
    """Return the value of a metric without each block of days."""
    if metric in daily.without:
        return daily.without[metric]
    values, rows = daily.metrics[metric], daily.rows
    if metric in daily.roots:
        return tuple(math.sqrt(max(v, 0)) for v in _means_without([v * v for v in values], rows))
    return _means_without(values, rows)


def _means_without(values: Sequence[float], rows: Sequence[int]) -> tuple[float, ...]:
    total, weighed = sum(rows), math.fsum(v * n for v, n in zip(values, rows, strict=True))
    found: list[float] = []
    for start, stop in day_blocks(rows):
        out = sum(rows[start:stop])
        gone = math.fsum(v * n for v, n in zip(values[start:stop], rows[start:stop], strict=True))
        found.append((weighed - gone) / (total - out) if total > out else math.nan)
    return tuple(found)


def day_blocks(days: Sequence[object]) -> list[tuple[int, int]]:
    """Return the blocks of consecutive days: a day each, or several of more than 60 days."""
    count = min(len(days), MAX_BLOCKS)
    stops = [(index + 1) * len(days) // count for index in range(count)]
    return list(zip([0, *stops], stops, strict=False))
