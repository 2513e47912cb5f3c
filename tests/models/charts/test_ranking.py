from __future__ import annotations

import polars as pl
import pytest

import tidemill as tm
from tests.support.svg import checked, elements, texts
from tidemill.core.errors import UsageError
from tidemill.models.charts.ranking import precision_recall, roc

GOOD = pl.DataFrame({"y": [0, 0, 1, 1], "prediction": [0.1, 0.2, 0.8, 0.9]})
BAD = GOOD.with_columns(prediction=pl.Series([0.1, 0.8, 0.2, 0.9]))


def test_roc_of_one_model() -> None:
    chart = roc(GOOD, "y")
    assert "AUC 1.000" in texts(checked(chart.svg), "name")
    assert chart.subtitle == "4 rows, 2 of them with y = 1"


def test_several_models_have_their_names() -> None:
    models = {"live": GOOD, "<b>": BAD}
    shown = texts(checked(roc(models, "y").svg), "name")
    assert {"live: AUC 1.000", "<b>: AUC 0.750"} <= set(shown)
    chart = precision_recall(models, "y", title="Mine")
    assert "live: average precision 1; <b>: average precision 0.8333" in chart.description
    assert chart.title == "Mine"


def test_precision_and_recall_of_one_model() -> None:
    root = checked(precision_recall(GOOD, "y").svg)
    assert {"share of positive rows 50.0%", "average precision 1.000"} <= set(texts(root, "name"))
    assert elements(root, "dot") == []


def test_one_class_has_no_curve() -> None:
    with pytest.raises(UsageError, match=r"roc\(\) needs rows of both classes"):
        roc(GOOD.head(2), "y")


def test_rows_that_cannot_be_drawn_are_noted() -> None:
    more = pl.concat([GOOD, pl.DataFrame({"y": [1], "prediction": [None]}, schema=GOOD.schema)])
    assert roc(more, "y").notes[0].startswith("1 row is left out")


def test_many_points_are_thinned_and_the_area_stays() -> None:
    count = 20_000
    frame = pl.DataFrame(
        {
            "y": [n % 3 == 0 for n in range(count)],
            "prediction": [n * 7 % count / count for n in range(count)],
        }
    )
    area = float(tm.scores(frame.lazy(), tm.metrics.auc("y")).metrics["auc"])
    root = checked(roc(frame, "y").svg)
    assert f"AUC {area:.3f}" in texts(root, "name")
    for drawn in (root, checked(precision_recall(frame, "y").svg)):
        # The other line is in the legend.
        _, line = elements(drawn, "line")
        assert 300 < line.attrib["d"].count("L") < 4_500
