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
    judged = scores(
        later, f1("late", threshold=chosen), day="day", fixed=recall("late", threshold=0.2)
    )
    assert (default, judged.metrics["f1"] > 0.6) == (0.0, True)
    assert judged.thresholds == {"f1": chosen}


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


SPOKEN = pl.when("late").then(pl.lit("yes")).otherwise(pl.lit("no"))
NUMBERS = "takes numbers, and 'late' is"


@pytest.mark.parametrize(
    ("change", "positive", "message"),
    [
        ({"late": SPOKEN}, None, f"{NUMBERS} String: name its positive class, positive="),
        ({"late": SPOKEN.cast(pl.Categorical)}, None, f"{NUMBERS} Categorical: name its pos"),
        ({"late": SPOKEN.cast(pl.Enum(["no", "yes"]))}, None, f"{NUMBERS} Enum"),
        ({"late": pl.col("day")}, None, f"{NUMBERS} Date: name its positive class"),
        ({"late": pl.concat_list("late")}, None, rf"{NUMBERS} List\(Boolean\)"),
        ({"late": pl.concat_list("late")}, [True], "which has no value like"),
        ({"late": pl.struct("late")}, "yes", r"'late' is Struct.* no value like positive='yes'"),
        (
            {"late": pl.col("late").cast(int)},
            "yes",
            "is Int64, which has no value like positive='y",
        ),
        ({"late": SPOKEN}, 1, "'late' is String, which has no value like positive=1"),
        ({"late": pl.lit(None)}, None, "no row with a label and a prediction"),
        ({"late": pl.lit(None)}, "yes", "no row with a label and a prediction"),
        ({"late": pl.lit(None).cast(pl.Categorical)}, "yes", "no row with a label and a pred"),
        ({"prediction": SPOKEN}, None, r"threshold\(\) takes numbers, and 'prediction' is String$"),
        ({"prediction": pl.col("day")}, None, "takes numbers, and 'prediction' is Date"),
        ({"prediction": pl.lit(float("nan"))}, None, "are all predictions numbers"),
    ],
)
def test_columns_that_no_threshold_is_chosen_on(
    change: dict[str, pl.Expr], positive: object, message: str
) -> None:
    rows = rows_of(2).with_columns(**change)
    with pytest.raises(UsageError, match=message):
        threshold(rows, "late", day="day", best=f1, positive=positive)


@pytest.mark.parametrize(
    "label",
    [SPOKEN, SPOKEN.cast(pl.Categorical), SPOKEN.cast(pl.Enum(["no", "yes"]))],
)
def test_the_positive_class_of_text_is_named(label: pl.Expr) -> None:
    rows = rows_of(3)
    spoken = threshold(rows.with_columns(late=label), "late", day="day", best=f1, positive="yes")
    assert spoken == threshold(rows, "late", day="day", best=f1)
    digits = rows.with_columns(pl.col("late").cast(int).cast(str))
    assert threshold(digits, "late", day="day", best=f1) == spoken


def test_columns_that_are_not_there_are_named() -> None:
    with pytest.raises(UsageError, match=r"threshold\(label='lat'\).*did you mean 'late'"):
        threshold(rows_of(2), "lat", day="day", best=f1)
    with pytest.raises(UsageError, match=r"threshold\(prediction='p'\): there is no such column"):
        threshold(rows_of(2), "late", day="day", best=f1, prediction="p")
    with pytest.raises(UsageError, match="best='f1': it takes no threshold"):
        threshold(rows_of(2), "late", day="day", best="f1")  # type: ignore[arg-type]


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
