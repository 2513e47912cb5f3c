from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from tests.support.svg import checked, elements, texts
from tidemill.core.errors import UsageError
from tidemill.models.charts.slices import slices
from tidemill.models.metrics import scores
from tidemill.workflow.gate import Scores

MAE = (pl.col("prediction") - pl.col("y")).abs().mean()


def scored(wrong: float = 1.0, *, day: bool = True, count: int = 400, shops: int = 4) -> Scores:
    frame = pl.DataFrame(
        {
            "y": [0.0] * count,
            "prediction": [wrong + n % 7 / 10 for n in range(count)],
            "shop": [f"<{n % shops}>" for n in range(count)],
            "day": [date(2026, 1, 1) + timedelta(days=n // 20) for n in range(count)],
        }
    )
    return scores(frame.lazy(), by="shop", day="day" if day else None, mae=MAE, rmse=MAE * 2)


def test_models_side_by_side_with_intervals() -> None:
    chart = slices({"candidate": scored(), "live": scored(2)}, "mae", title="Mine")
    root = checked(chart.svg)
    assert texts(root, "label") == ["<0>", "<1>", "<2>", "<3>"]
    assert len(elements(root, "whisker")) == 8
    # One more in the legend.
    assert (len(elements(root, "dot")), len(elements(root, "hollow"))) == (5, 5)
    assert len(elements(root, "reference")) == 2
    assert "100 rows" in texts(root, "tick")
    assert "<0>, candidate: 1.298 (1.279 to 1.317)" in chart.description
    assert (chart.title, "lower is better" in chart.subtitle) == ("Mine", True)


def test_without_daily_figures_there_are_no_intervals() -> None:
    chart = slices(scored(day=False))
    assert chart.title == "mae by shop"
    assert elements(checked(chart.svg), "whisker") == []


def test_of_too_few_days_there_are_no_intervals() -> None:
    chart = slices(scored(count=260))
    assert elements(checked(chart.svg), "whisker") == []
    assert chart.subtitle == "lower is better; lines are overall values"
    assert "95% intervals over days" in slices(scored(count=280)).subtitle


def test_a_slice_that_a_model_lacks_has_no_dot() -> None:
    chart = slices({"a": scored(), "b": scored(shops=2)}, "rmse")
    assert len(elements(checked(chart.svg), "hollow")) == 3


def test_of_many_slices_the_largest_are_drawn() -> None:
    chart = slices(scored(shops=50, day=False))
    assert len(texts(checked(chart.svg), "label")) == 30
    assert chart.notes == ("The 30 slices with the most rows, of 50.",)


def test_scores_that_are_not_split() -> None:
    whole = Scores(rows=1, metrics={"mae": 1.0})
    chart = slices(whole)
    assert chart.title == "mae"
    assert texts(checked(chart.svg), "label") == []


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="draws a metric of mae, rmse, not 'mse'"):
        slices(scored(), "mse")
