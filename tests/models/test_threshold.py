"""Thresholds are chosen on some days and judged on others."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.metrics import scores
from tidemill.models.standard_metrics import accuracy, f1, log_loss, precision, recall
from tidemill.models.threshold import MAX_TRIED, split, threshold

FIRST = date(2026, 1, 1)


def rows_of(days: int, *, each: int = 40, seed: int = 1) -> pl.LazyFrame:
    """Scored rows of some days, whose probabilities are too low by half."""
    random = np.random.default_rng(seed)
    p = random.random(days * each)
    late = random.random(days * each) < p
    day = [FIRST + timedelta(days=n // each) for n in range(days * each)]
    return pl.LazyFrame({"day": day, "prediction": p / 2, "late": late})


def test_a_threshold_is_chosen_on_earlier_days_and_judged_on_later_ones() -> None:
    earlier, later = split(rows_of(28), day="day", last="7d")
    chosen = threshold(earlier, "late", day="day", best=f1)
    assert (len(chosen.days), chosen.days[-1]) == (21, "2026-01-21")
    assert 0.1 < chosen.value < 0.35
    default = scores(later, f1("late"), day="day").metrics["f1"]
    tuned = scores(later, f1("late", threshold=chosen), day="day").metrics["f1"]
    assert (default, tuned > 0.6) == (0.0, True)


def test_the_best_of_all_thresholds_is_chosen() -> None:
    frame = rows_of(1, each=30)
    chosen = threshold(frame, "late", day="day", best=f1)
    values = frame.collect()["prediction"]
    figures = [scores(frame, f1("late", threshold=float(v))).metrics["f1"] for v in values]
    assert chosen.score == max(figures)
    assert chosen.metric == "f1"


def test_many_predictions_are_thinned() -> None:
    frame = rows_of(10, each=100)
    chosen = threshold(frame, "late", day="day", best=accuracy)
    assert MAX_TRIED < 1000
    assert chosen.score == pytest.approx(
        scores(frame, accuracy("late", threshold=chosen.value)).metrics["accuracy"]
    )


@pytest.mark.parametrize("metric", [f1, precision, recall, accuracy])
def test_the_same_days_are_refused(metric: type[object]) -> None:
    rows = rows_of(10)
    chosen = threshold(rows, "late", day="day", best=f1)
    judged = metric("late", threshold=chosen)  # type: ignore[call-arg]
    with pytest.raises(
        UsageError, match=r"on 2026-01-01, a day that it was chosen on; choose it on"
    ):
        scores(rows, judged, day="day")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"judges a chosen threshold: name the column of days"):
        scores(rows, judged)  # type: ignore[arg-type]


def test_a_threshold_needs_rows_of_both_classes() -> None:
    rows = rows_of(2)
    none = rows.with_columns(late=pl.lit(False))
    with pytest.raises(
        UsageError, match="f1 has no value at any threshold; are there rows of both"
    ):
        threshold(none, "late", day="day", best=f1)
    with pytest.raises(UsageError, match="no row with a label and a prediction"):
        threshold(rows.with_columns(late=pl.lit(None, pl.Boolean)), "late", day="day", best=f1)
    with pytest.raises(UsageError, match=r"threshold\(day='dai'\).*did you mean 'day'"):
        threshold(rows, "late", day="dai", best=f1)


def test_a_metric_without_threshold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"best=log_loss: it takes no threshold"):
        threshold(rows_of(2), "late", day="day", best=log_loss)


def test_rows_are_split_at_days() -> None:
    earlier, later = split(rows_of(20, each=1), day="day", last="1w")
    assert (earlier.collect().height, later.collect().height) == (13, 7)
    assert later.collect_schema().names() == ["day", "prediction", "late"]
    moments = pl.LazyFrame({"at": [datetime(2026, 1, d, 23) for d in range(1, 11)]})
    earlier, later = split(moments, day="at", last="3d")
    assert (earlier.collect().height, later.collect().height) == (7, 3)


BAD = [
    ("7d", rows_of(7), r"none of the 280 rows is of an earlier day"),
    ("7x", rows_of(9), r"split\(last='7x'\): '7x' is not a length of time"),
    ("36h", rows_of(9), "name a number of days or weeks"),
    (
        "1d",
        rows_of(2).with_columns(day=pl.lit("monday")),
        "not a Date or Datetime; filter the rows",
    ),
]


@pytest.mark.parametrize(("last", "rows", "says"), BAD)
def test_a_split_that_leaves_nothing_is_refused(last: str, rows: pl.LazyFrame, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        split(rows, day="day", last=last)
