"""Curves as data, against counting them out and against scikit-learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as sk  # type: ignore[import-untyped]

from tidemill.core.errors import UsageError
from tidemill.models.curves import MAX_POINTS, calibration, lift, precision_recall, roc
from tidemill.models.metric import CurveMetric
from tidemill.models.metrics import scores
from tidemill.models.standard_metrics import auc
from tidemill.workflow.gate import Curve

FEW = pl.DataFrame(
    {"prediction": [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], "late": [False, False, True, False, True, True]}
)


def curve_of(frame: pl.DataFrame, curve: CurveMetric) -> Curve:
    """The curve as it is stored with scores."""
    return scores(frame.lazy(), curve, auc("late")).curves[curve.name]


def test_calibration_has_equally_many_rows_a_bin() -> None:
    found = curve_of(FEW, calibration("late", bins=3))
    assert found["rows"] == (2.0, 2.0, 2.0)
    assert found["predicted"] == pytest.approx((0.15, 0.35, 0.85))
    assert found["actual"] == pytest.approx((0.0, 0.5, 1.0))


def test_equal_predictions_are_in_one_bin() -> None:
    found = curve_of(FEW.with_columns(prediction=pl.lit(0.5)), calibration("late", bins=3))
    assert found == {"predicted": (0.5,), "actual": (0.5,), "rows": (6.0,)}


def test_calibration_of_a_regression_compares_numbers() -> None:
    frame = FEW.with_columns(late=pl.lit(7.0))
    found = scores(frame.lazy(), calibration("late", bins=2), mae=pl.len()).curves["calibration"]
    assert found["actual"] == (7.0, 7.0)


def test_lift_counts_the_positives_among_the_highest_predictions() -> None:
    found = curve_of(FEW, lift("late", bins=3))
    assert found["share"] == pytest.approx((1 / 3, 2 / 3, 1.0), rel=1e-5)
    assert found["gain"] == pytest.approx((2 / 3, 1.0, 1.0), rel=1e-5)
    assert found["lift"] == pytest.approx((2.0, 1.5, 1.0))


def test_roc_and_precision_recall_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    late = random.random(80) < 0.4
    frame = pl.DataFrame({"prediction": np.round(random.random(80), 2), "late": late})
    false, true, steps = sk.roc_curve(late, frame["prediction"], drop_intermediate=False)
    found = curve_of(frame, roc("late"))
    assert found["false_positive_rate"] == pytest.approx(false[1:], abs=1e-5)
    assert found["true_positive_rate"] == pytest.approx(true[1:], abs=1e-5)
    assert found["threshold"] == pytest.approx(steps[1:])
    precision, recall, at = sk.precision_recall_curve(late, frame["prediction"])
    found = curve_of(frame, precision_recall("late"))
    assert found["precision"] == pytest.approx(precision[:-1][::-1], abs=1e-5)
    assert found["recall"] == pytest.approx(recall[:-1][::-1], abs=1e-5)
    assert found["threshold"] == pytest.approx(at[::-1])


def test_a_long_curve_keeps_few_points_and_its_ends() -> None:
    random = np.random.default_rng(4)
    frame = pl.DataFrame({"prediction": random.random(5000), "late": random.random(5000) < 0.3})
    found = curve_of(frame, roc("late"))
    assert len(found["threshold"]) <= MAX_POINTS
    assert (found["false_positive_rate"][-1], found["true_positive_rate"][-1]) == (1.0, 1.0)


@pytest.mark.parametrize("curve", [lift("late"), roc("late"), precision_recall("late")])
@pytest.mark.parametrize("label", [False, None])
def test_without_both_classes_a_curve_is_empty(curve: CurveMetric, label: bool | None) -> None:
    frame = FEW.with_columns(late=pl.lit(label, pl.Boolean))
    assert set(curve_of(frame, curve).values()) == {()}


def test_rows_without_label_or_prediction_are_left_out() -> None:
    gaps = pl.DataFrame({"prediction": [None, 0.5], "late": [True, None]})
    frame = pl.concat([FEW, gaps])
    for curve in (calibration("late"), lift("late"), roc("late"), precision_recall("late")):
        assert curve_of(frame, curve) == curve_of(FEW, curve)


def test_bins_are_counted() -> None:
    for curve in (calibration, lift):
        with pytest.raises(UsageError, match=r"\(bins=0\): there must be at least 1 bin"):
            curve("late", bins=0)
