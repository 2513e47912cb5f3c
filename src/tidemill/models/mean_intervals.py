"""Confidence intervals of means: over independent rows, or over days whose rows depend on each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import polars as pl

from tidemill.models.student import t_quantile

MEAN, LOW, HIGH, ROWS, DAYS = "mean", "low", "high", "rows", "days"


def wilson(successes: float, rows: int, confidence: float) -> tuple[float, float]:
    """The interval of a share of independent rows (Wilson 1927), which stays between 0 and 1."""
    if rows == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, square = successes / rows, z * z / rows
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / rows + square / rows / 4)
    # At a share of 0 or 1 an end is exact but for rounding.
    low = 0.0 if successes == 0 else max(middle - half, 0.0)
    return low, 1.0 if successes == rows else min(middle + half, 1.0)


def grouped_means(
    frame: pl.DataFrame,
    value: str,
    group: str,
    *,
    confidence: float,
    day: str | None = None,
    share: bool = False,
) -> pl.DataFrame:
    """The mean of `value` in each group: columns `group`, `rows`, `days`, `mean`, `low`, `high`.

    With `day` the interval is over days: the linearised standard error of a ratio, with Student's t. For a
    `share` without days it is Wilson's. It is NaN where there are fewer than two rows, or days.
    """
    blocks = [group, day] if day is not None else [group]
    # Sums of groups first: there are far fewer of them than rows.
    sums = frame.group_by(blocks).agg(
        pl.len().alias("n"),
        pl.col(value).sum().alias("s"),
        pl.col(value).var().alias("v"),
    )
    means = sums.group_by(group).agg(
        pl.col("n").sum().alias(ROWS),
        pl.len().alias(DAYS),
        (pl.col("s").sum() / pl.col("n").sum()).alias(MEAN),
        pl.col("v").first(),
    )
    spread = (
        sums.join(means.select(group, MEAN), on=group, nulls_equal=True)
        .group_by(group)
        .agg((pl.col("s") - pl.col("n") * pl.col(MEAN)).pow(2).sum().alias("d"))
    )
    found = means.join(spread, on=group, nulls_equal=True).sort(group)
    ends = [_ends(row, confidence, day is not None, share) for row in found.iter_rows(named=True)]
    return found.select(group, ROWS, DAYS, MEAN).with_columns(
        pl.Series(LOW, [low for low, _ in ends], dtype=pl.Float64),
        pl.Series(HIGH, [high for _, high in ends], dtype=pl.Float64),
    )


def mean_of(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """The mean of independent values with its interval by Student's t; NaN ends for fewer than two."""
    count = len(values)
    if not count:
        return math.nan, math.nan, math.nan
    mean = math.fsum(values) / count
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, *_around(mean, count, squares / max(count - 1, 1) / count, confidence)


def _ends(
    row: dict[str, float], confidence: float, over_days: bool, share: bool
) -> tuple[float, float]:
    rows, days, mean = int(row[ROWS]), int(row[DAYS]), row[MEAN]
    if over_days:
        variance = row["d"] / rows**2 * days / max(days - 1, 1)
        low, high = _around(mean, days, variance, confidence)
        return (max(low, 0.0), min(high, 1.0)) if share and days > 1 else (low, high)
    if share:
        return wilson(mean * rows, rows, confidence)
    return _around(mean, rows, (row["v"] or 0.0) / rows, confidence)


def _around(mean: float, count: int, variance: float, confidence: float) -> tuple[float, float]:
    if count < 2:
        return math.nan, math.nan
    half = t_quantile((1 + confidence) / 2, count - 1) * math.sqrt(variance)
    return mean - half, mean + half
