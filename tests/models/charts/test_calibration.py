from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from tests.support.svg import checked, elements, texts
from tidemill.models.charts.calibration import calibration, calibration_bins
from tidemill.models.scored_rows import scored_rows


def rows(count: int = 1_000) -> pl.DataFrame:
    chance = np.random.default_rng(2)
    predicted = chance.random(count)
    days = [date(2026, 1, 1) + timedelta(days=n % 20) for n in range(count)]
    return pl.DataFrame(
        {"y": chance.random(count) < predicted, "prediction": predicted, "day": days}
    )


def test_a_calibrated_model_is_on_the_diagonal() -> None:
    found = calibration_bins(scored_rows(rows(), "y", "c"), 10, 0.99, day=False)
    assert found["rows"].to_list() == [100] * 10
    assert ((found["low"] <= found["_predicted"]) & (found["_predicted"] <= found["high"])).all()


def test_equal_predictions_are_in_one_bin() -> None:
    frame = rows(100).with_columns(prediction=pl.lit(0.4))
    found = calibration_bins(scored_rows(frame, "y", "c"), 10, 0.95, day=False)
    assert (found["rows"].to_list(), found["_predicted"].to_list()) == ([100], [pytest.approx(0.4)])


def test_a_chart_of_shares() -> None:
    chart = calibration(rows(), "y")
    root = checked(chart.svg)
    assert len(elements(root, "whisker")) == 10
    assert {"share of y = True", "mean predicted probability"} <= set(texts(root, "name"))
    assert "taken as independent" in chart.subtitle
    assert "predicted 0.0" in chart.description
    assert "over days" in calibration(rows(), "y", day="day").subtitle


def test_a_chart_of_numbers_and_one_without_rows() -> None:
    frame = rows().with_columns(
        y=pl.col("prediction") * 30 + 5, prediction=pl.col("prediction") * 30
    )
    chart = calibration(frame, "y", bins=5, title="Mine")
    assert chart.title == "Mine"
    assert "mean of y" in texts(checked(chart.svg), "name")
    assert texts(checked(calibration(rows().clear(), "y").svg), "label") == []


def test_rows_that_cannot_be_drawn_are_noted() -> None:
    frame = rows(50).with_columns(prediction=pl.lit(None, pl.Float64))
    assert calibration(frame, "y").notes[0].startswith("50 rows are left out")
