"""How often does the interval of a difference of two models contain the true difference?

2,000 pairs of models with equal errors are simulated for each kind of day and number of days. The interval
has a nominal confidence of 95 %; the goal is 93 to 97 %. A percentile bootstrap of rows, which most tools
show, is measured on fewer pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from bench.common import Row, drive
from tidemill.models.intervals import gain_estimate
from tidemill.workflow.gate import Daily, Goal, Scores

PAIRS, DAYS = 2_000, (14, 28, 60)
Random = np.random.Generator
Values = np.ndarray

# The effect of a day on the difference of two models, per pair and day; its mean is 0.
EFFECTS: dict[str, Callable[[Random, tuple[int, int]], Values]] = {
    "no effect of days": lambda random, shape: np.zeros(shape),
    "normal effects of days": lambda random, shape: random.normal(size=shape),
    "heavy tails (t3)": lambda random, shape: random.standard_t(3, size=shape),
    "skewed (lognormal 0.5)": lambda random, shape: random.lognormal(0, 0.5, shape) - np.exp(0.125),
}  # fmt: skip
ROWS: dict[str, Callable[[Random, tuple[int, int]], Values]] = {
    "days alike": lambda random, shape: np.full(shape, 1000),
    "weekends 1/5": lambda random, shape: np.tile(
        np.where(np.arange(shape[1]) % 7 < 5, 1000, 200), (shape[0], 1)
    ),
    "lognormal 0.8": lambda random, shape: np.exp(random.normal(6, 0.8, shape)).astype(int) + 1,
}  # fmt: skip


def coverage(random: Random, effect: str, rows: str, days: int) -> float:
    """The share of pairs whose interval contains 0, in percent."""
    shape = (PAIRS, days)
    sizes = ROWS[rows](random, shape)
    level = 20 + random.normal(0, 4, shape)  # the weather, which both models share
    noise = random.normal(0, 2, shape) / np.sqrt(sizes)
    other = level + 0.3 * EFFECTS[effect](random, shape) + noise
    names = tuple(str(date(2026, 1, 1) + timedelta(days=n)) for n in range(days))
    covered = 0
    for size, mine, theirs in zip(sizes.tolist(), other, level, strict=True):
        estimate = gain_estimate(of(names, size, mine), of(names, size, theirs), "mae", Goal.LOW)
        assert estimate is not None
        interval = estimate.interval(0.95)
        covered += interval.low <= 0 <= interval.high
    return 100 * covered / PAIRS


def of(days: tuple[str, ...], rows: list[int], values: Values) -> Scores:
    """The scores of one model."""
    daily = Daily(days=days, rows=tuple(rows), metrics={"mae": tuple(values.tolist())})
    return Scores(
        rows=sum(rows), metrics={"mae": float(np.average(values, weights=rows))}, daily=daily
    )


def bootstrap_coverage(random: Random, days: int, *, by_day: bool) -> float:
    """The same of a percentile bootstrap, over days or over rows; 400 pairs with normal effects."""
    pairs, each, draws = 400, 100, 400
    covered = 0
    for _ in range(pairs):
        rows = 0.3 * random.normal(size=(days, 1)) + random.normal(0, 2, (days, each))
        if by_day:
            means = rows.mean(axis=1)
            found = means[random.integers(0, days, (draws, days))].mean(axis=1)
        else:
            flat = rows.ravel()
            found = flat[random.integers(0, flat.size, (draws, flat.size))].mean(axis=1)
        low, high = np.percentile(found, [2.5, 97.5])
        covered += low <= 0 <= high
    return 100 * covered / pairs


def parts_of(_: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The simulations, each with a seed of its own."""
    return {**{effect: _paired(effect) for effect in EFFECTS}, "bootstrap": _bootstrap}


def _paired(effect: str) -> Callable[[], list[Row]]:
    def measured() -> list[Row]:
        random = np.random.default_rng(20260301)
        found = []
        for rows in ROWS:
            for days in DAYS:
                value = coverage(random, effect, rows, days)
                name = f"{effect}, {rows}, {days} days: points off 95 %, covers {value:.1f} %"
                off = round(abs(value - 95), 2)
                found.append(Row(name=name, value=off, unit="points", goal=2.0))
        return found

    return measured


def _bootstrap() -> list[Row]:
    random = np.random.default_rng(20260302)
    found = []
    for days in (7, 28):
        for by_day in (True, False):
            value = bootstrap_coverage(random, days, by_day=by_day)
            name = (
                f"percentile bootstrap over {'days' if by_day else 'rows'}, {days} days: coverage"
            )
            found.append(Row(name=name, value=round(value, 1), unit="%"))
    return found


if __name__ == "__main__":
    drive("intervals", sys.argv[1:], parts_of)
