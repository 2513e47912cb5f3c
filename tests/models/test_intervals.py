"""Intervals over days: what they promise, and where they refuse to tell."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.models.intervals import JackknifeEstimate, gain, gain_estimate, holm, metric_estimate
from tidemill.models.metrics import scores
from tidemill.models.student import t_quantile
from tidemill.workflow.gate import Daily, Goal, Scores

LOW, HIGH, ZERO = Goal.LOW, Goal.HIGH, Goal.ZERO


def of_days(values: list[float], rows: list[int] | None = None, **more: object) -> Scores:
    """Scores whose mae of each day is given."""
    counts = rows or [10] * len(values)
    mean = sum(v * n for v, n in zip(values, counts, strict=True)) / sum(counts)
    days = tuple(str(date(2026, 1, 1) + timedelta(days=n)) for n in range(len(values)))
    daily = Daily(days=days, rows=tuple(counts), metrics={"mae": tuple(values)})
    return Scores(rows=sum(counts), metrics={"mae": mean}, daily=daily, **more)  # type: ignore[arg-type]


def test_days_of_one_size_give_the_t_interval_of_their_mean() -> None:
    values = [float(v) for v in range(20)]
    estimate = metric_estimate(of_days(values), "mae")
    assert estimate is not None
    error = float(np.std(values, ddof=1)) / math.sqrt(20)
    assert (estimate.value, estimate.df, estimate.days) == (9.5, 19.0, 20)
    assert estimate.error == pytest.approx(error)
    found = estimate.interval(0.95)
    margin = t_quantile(0.975, 19) * error
    assert (found.low, found.high) == pytest.approx((9.5 - margin, 9.5 + margin))
    assert (found.confidence, found.days) == (0.95, 20)


@given(st.floats(-2, 3), st.floats(0, 2), st.floats(0, 1), st.sampled_from([0.5, 0.95, 0.999]))
def test_bounds_take_only_what_no_figure_is_in(
    value: float, error: float, true: float, confidence: float
) -> None:
    whole = JackknifeEstimate(value=value, error=error, df=13, days=14)
    free, cut = (each.interval(confidence) for each in (whole, replace(whole, bounds=(0.0, 1.0))))
    assert (free.low <= true <= free.high) == (cut.low <= true <= cut.high)
    assert cut.low <= value <= cut.high
    assert free.low <= cut.low
    assert cut.high <= free.high
    half = replace(whole, bounds=(0.0, None)).interval(confidence)
    assert (half.low, half.high) == (cut.low, free.high)
    if 0 <= value <= 1:
        assert 0 <= cut.low <= cut.high <= 1


def test_the_interval_of_a_standard_metric_stays_in_its_range() -> None:
    days = pl.int_range(40, eager=True) // 2
    label = pl.Series([0, 1] * 20)
    noise = np.random.default_rng(3).uniform(0, 0.9, 40) ** 4
    rows = pl.DataFrame({"day": days, "y": label, "prediction": (label - pl.Series(noise)).abs()})
    found = scores(
        rows.lazy(), tm.metrics.accuracy("y", threshold=0.5), tm.metrics.brier("y"),
        tm.metrics.auc("y"), tm.metrics.r2("y"), tm.metrics.mae("y"), tm.metrics.bias("y"),
        own=pl.col("prediction").mean(), by="day", day="day",
    )  # fmt: skip
    assert found.bounds == {
        "accuracy": (0.0, 1.0), "brier": (0.0, 1.0), "auc": (0.0, 1.0), "r2": (None, 1.0),
        "mae": (0.0, None),
    }  # fmt: skip
    ends = {}
    for metric in found.metrics:
        estimate = metric_estimate(found, metric)
        assert estimate is not None
        ends[metric] = estimate.interval(0.999), replace(estimate, bounds=(None, None))
    over = {n for n, (cut, free) in ends.items() if free.interval(0.999) != cut}
    assert {"accuracy", "auc"} <= over
    for name in over:
        low, high = found.bounds[name]
        assert low is None or ends[name][0].low >= low
        assert high is None or ends[name][0].high <= high


def test_a_comparison_is_paired_by_day() -> None:
    weather = [1.0, 30.0, 2.0, 25.0] * 5
    live, better = of_days(weather), of_days([value - 0.5 for value in weather])
    estimate = gain_estimate(better, live, "mae", LOW)
    assert estimate is not None
    # The days differ much more than the models, which doesn't matter.
    assert estimate.value == pytest.approx(0.5)
    assert estimate.error == pytest.approx(0.0, abs=1e-9)
    wide = metric_estimate(live, "mae")
    assert wide is not None
    assert wide.error > 2


def test_unequal_days_leave_fewer_degrees_of_freedom() -> None:
    estimate = metric_estimate(of_days([1.0, 2.0] * 10, [1000, 10] * 10), "mae")
    assert estimate is not None
    assert estimate.df == pytest.approx((10 * 1010) ** 2 / (10 * (1000**2 + 10**2)) - 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of_days([1.0] * 20), of_days([1.0] * 19)),  # other days
        (of_days([1.0] * 20), of_days([1.0] * 20, [11] * 20)),  # other rows
        (of_days([1.0] * 20), Scores(rows=200, metrics={"mae": 1.0})),  # scored by an old version
        (of_days([1.0] * 19 + [math.nan]), of_days([1.0] * 20)),
        (of_days([1.0] * 19 + [math.inf]), of_days([1.0] * 20)),
        (of_days([1.0]), of_days([1.0])),  # one day
    ],
)
def test_without_the_same_days_there_is_no_comparison(one: Scores, other: Scores) -> None:
    assert gain_estimate(one, other, "mae", LOW) is None
    assert gain_estimate(other, one, "mae", LOW) is None


def test_an_unknown_metric_has_no_estimate() -> None:
    one = of_days([1.0, 2.0])
    assert metric_estimate(one, "rmse") is None
    assert gain_estimate(one, one, "rmse", LOW) is None


GAINS = [
    # mine, theirs, goal, by, gain
    (9.0, 10.0, LOW, 0.0, 1.0), (11.0, 10.0, LOW, 0.0, -1.0), (9.0, 10.0, LOW, 0.1, 0.0),
    (0.9, 0.8, HIGH, 0.0, 0.1), (0.88, 0.8, HIGH, 0.1, 0.0),
    # Half as far from zero, on the other side.
    (-1.0, 2.0, ZERO, 0.0, 1.0), (3.0, -2.0, ZERO, 0.0, -1.0),
    # Better than a negative metric by a share is nearer to good.
    (-11.0, -10.0, LOW, 0.1, 0.0), (-9.0, -10.0, HIGH, 0.1, 0.0),
    # With a negative share it may be worse.
    (10.5, 10.0, LOW, -0.1, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "theirs", "goal", "by", "expected"), GAINS)
def test_gain(mine: float, theirs: float, goal: Goal, by: float, expected: float) -> None:
    assert gain(mine, theirs, goal, by=by) == pytest.approx(expected)


def test_p_values() -> None:
    assert JackknifeEstimate(value=0.0, error=1.0, df=9, days=10).chance_above() == 0.5
    assert JackknifeEstimate(
        value=2.262157, error=1.0, df=9, days=10
    ).chance_above() == pytest.approx(0.025)
    assert JackknifeEstimate(value=1.0, error=0.0, df=9, days=10).chance_above() == 0.0
    assert JackknifeEstimate(value=0.0, error=0.0, df=9, days=10).chance_above() == 1.0
    assert not JackknifeEstimate(value=1.0, error=0.0, df=9, days=13).is_enough
    assert JackknifeEstimate(value=1.0, error=0.0, df=9, days=14).is_enough


HOLM = [
    ([], []),
    ([0.03], [0.03]),
    ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
    ([0.04, 0.01, 0.02], [0.04, 0.03, 0.04]),
    ([0.9, 0.8], [1.0, 1.0]),
]


@pytest.mark.parametrize(("given", "adjusted"), HOLM)
def test_holm(given: list[float], adjusted: list[float]) -> None:
    assert holm(given) == pytest.approx(adjusted)


@pytest.mark.untraced
@pytest.mark.parametrize("days", [14, 30])
def test_the_interval_of_a_difference_covers_as_often_as_it_says(days: int) -> None:
    """400 pairs of models with day effects and days of unequal size; the true difference is 0."""
    random = np.random.default_rng(days)
    covered = 0
    for _ in range(400):
        rows = random.integers(20, 200, size=days)
        weather = random.normal(0, 3, size=days)
        effect = random.standard_t(4, size=days) / 2
        noise = random.normal(size=days) / np.sqrt(rows)
        live = of_days(list(20 + weather), rows.tolist())
        other = of_days(list(20 + weather + effect + noise), rows.tolist())
        estimate = gain_estimate(other, live, "mae", LOW)
        assert estimate is not None
        found = estimate.interval(0.95)
        covered += found.low <= 0 <= found.high
    # With 400 pairs the share has a standard error of 1.1 %; the seed is fixed.
    assert 0.93 <= covered / 400 <= 0.97


def test_a_metric_that_is_no_mean_has_an_interval_too() -> None:
    random = np.random.default_rng(5)
    day = np.repeat(np.arange(20), 50)
    frame = pl.LazyFrame(
        {"day": [date(2026, 1, 1) + timedelta(days=int(d)) for d in day],
         "prediction": random.normal(size=1000), "y": random.normal(size=1000)}
    )  # fmt: skip
    found = scores(frame, day="day", r=pl.corr("prediction", "y"))
    estimate = metric_estimate(found, "r")
    assert estimate is not None
    # Without effects of days this is the textbook's standard error.
    assert estimate.error == pytest.approx(1 / math.sqrt(1000), rel=0.35)
    assert abs(found.metrics["r"]) < 3 * estimate.error
