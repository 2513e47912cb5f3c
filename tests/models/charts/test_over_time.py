from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.support.svg import checked, elements, texts
from tidemill.core.errors import UsageError
from tidemill.models.charts.over_time import over_time
from tidemill.models.metric import Metric
from tidemill.models.metrics import scores

MAE = (pl.col("prediction") - pl.col("y")).abs().mean()


def rows(days: int = 20, wrong: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "date": [date(2026, 1, 1) + timedelta(days=n) for n in range(days) for _ in range(3)],
            "y": [0.0] * days * 3,
            "prediction": [wrong + n % 5 / 10 for n in range(days) for _ in range(3)],
        }
    )


def test_scores_and_rows_give_the_same_drawing() -> None:
    named = {"live": rows(), "baseline": rows(wrong=3)}
    metric = Metric(name="mae", expression=MAE)
    one = over_time(named, metric)
    scored = {name: scores(each.lazy(), day="date", mae=MAE) for name, each in named.items()}
    other = over_time(scored, "mae")
    assert one.svg == other.svg
    assert over_time(scored, metric).svg == one.svg


def test_a_line_with_its_band_and_a_dot_a_day_per_model() -> None:
    metric = Metric(name="mae", expression=MAE)
    chart = over_time({"live": rows(), "baseline": rows(wrong=3)}, metric, confidence=0.9)
    root = checked(chart.svg)
    assert len(elements(root, "band")) == 2
    assert len(elements(root, "dot")) == 40
    assert {"live", "baseline", "mae", "day"} <= set(texts(root, "name"))
    assert "last 7 days with its 90% interval" in chart.subtitle
    assert "live: 1.243 (" in chart.description


def test_one_day_at_a_time() -> None:
    chart = over_time(rows(), MAE, window=1, title="Mine")
    root = checked(chart.svg)
    assert (len(elements(root, "band")), len(elements(root, "dot"))) == (0, 0)
    assert (chart.title, chart.subtitle) == ("Mine", "each day")


def test_days_without_a_value_are_gaps_with_a_note() -> None:
    frame = rows().with_columns(
        prediction=pl.when(pl.col("date") != date(2026, 1, 10)).then("prediction")
    )
    chart = over_time(frame, MAE)
    assert len(elements(checked(chart.svg), "line")) == 2
    assert chart.notes == ("No finite value on 1 day.",)


def test_few_days_have_no_band() -> None:
    root = checked(over_time(rows(2), MAE).svg)
    assert (len(elements(root, "band")), len(elements(root, "line"))) == (0, 1)


def test_hours_belong_to_their_day() -> None:
    hours = rows().with_columns(pl.col("date").cast(pl.Datetime) + pl.duration(hours=7))
    assert hours["date"][0] == datetime(2026, 1, 1, 7)
    assert over_time(hours, MAE).svg == over_time(rows(), MAE).svg


def test_many_days_have_no_dots() -> None:
    assert elements(checked(over_time(rows(500), MAE).svg), "dot") == []


def test_no_days() -> None:
    assert texts(checked(over_time(rows().clear(), MAE).svg), "empty") == ["no data"]


@pytest.mark.parametrize(
    ("models", "metric", "message"),
    [
        (rows(), "mae", r"takes tm.metrics.mae\(label\), or an expression"),
        (rows().rename({"date": "dat"}), MAE, "no such column .*'dat'"),
        (rows().with_columns(date=pl.lit("monday")), MAE, "not 'monday'"),
        ({}, MAE, "draws 1 to 6 models"),
        (scores(rows().lazy(), mae=MAE), "mae", "needs the figures of each day"),
        (scores(rows().lazy(), mae=MAE, day="date"), "rmse", "the name of a metric: mae"),
        (scores(rows().lazy(), mae=MAE, day="date"), MAE, "the name of a metric: mae"),
    ],
)
def test_what_cannot_be_drawn_is_refused(models: Any, metric: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        over_time(models, metric)


def test_infinite_values_are_noted() -> None:
    frame = rows().with_columns(prediction=pl.lit(math.inf))
    assert over_time(frame, MAE).notes == ("No finite value on 20 days.",)
