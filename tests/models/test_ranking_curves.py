from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.ranking_curves import precision_recall_curve, roc_curve

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def frame(rows: list[tuple[bool, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        {"_label": [float(y) for y, _ in rows], "_predicted": [p / 7 for _, p in rows]}
    )


@given(ROWS)
def test_the_area_is_the_chance_of_the_right_order(rows: list[tuple[bool, int]]) -> None:
    positive = [p for y, p in rows if y]
    negative = [p for y, p in rows if not y]
    wins = [(a > b) + (a == b) / 2 for a in positive for b in negative]
    curve = roc_curve(frame(rows))
    assert curve.area == pytest.approx(sum(wins) / len(wins))
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


@given(ROWS)
def test_curves_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    table = frame(rows)
    label, predicted = table["_label"].to_numpy(), table["_predicted"].to_numpy()
    false, true, _ = metrics.roc_curve(label, predicted, drop_intermediate=False)
    curve = roc_curve(table)
    np.testing.assert_allclose(curve.x, false)
    np.testing.assert_allclose(curve.y, true)
    precision, recall, _ = metrics.precision_recall_curve(label, predicted)
    found = precision_recall_curve(table)
    assert found.area == pytest.approx(metrics.average_precision_score(label, predicted))
    # It ends where all positive rows are found, and begins with an invented point.
    np.testing.assert_allclose(found.x[: len(recall) - 1], recall[-2::-1])
    np.testing.assert_allclose(found.y[: len(recall) - 1], precision[-2::-1])
