from __future__ import annotations

import polars as pl
import pytest

import tidemill as tm
from tests.support.svg import checked, elements, texts
from tidemill.models.charts.recorded_curve import curve

FRAME = pl.LazyFrame({"y": [0, 1, 0, 1], "prediction": [0.1, 0.4, 0.35, 0.8]})


@pytest.mark.parametrize("name", ["roc", "precision_recall", "lift", "calibration"])
def test_what_scores_record_can_be_drawn(name: str) -> None:
    found = tm.scores(FRAME, tm.metrics.auc("y"), getattr(tm, name)("y"))
    one = checked(curve(found, name).svg)
    assert len(elements(one, "line")) + len(elements(one, "dot")) > 0
    both = checked(curve({"live": found, "candidate": found}, name, title="Mine").svg)
    assert {"live", "candidate"} <= set(texts(both, "name"))
    assert texts(both, "title") == ["Mine"]


def test_no_models_are_refused() -> None:
    with pytest.raises(tm.TidemillError, match=r"curve\(\) draws 1 to 6 models"):
        curve({}, "roc")
