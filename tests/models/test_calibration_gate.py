"""Calibration as a gate: what isn't known, or could be chance, never passes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.models.calibration_gate import judge_calibration
from tidemill.workflow.gate import Curve, GateOutcome, GateResult, Scores
from tidemill.workflow.recorded_gates import Calibrated

datasets = pytest.importorskip("sklearn.datasets")
linear = pytest.importorskip("sklearn.linear_model")
selection = pytest.importorskip("sklearn.model_selection")
bayes = pytest.importorskip("sklearn.naive_bayes")
pipeline = pytest.importorskip("sklearn.pipeline")
preprocessing = pytest.importorskip("sklearn.preprocessing")

NAN = math.nan
PASSED, FAILED, UNKNOWN = GateOutcome
FINE: Curve = {"predicted": (0.1, 0.5), "actual": (0.12, 0.5), "rows": (500.0, 500.0)}


def judge(scores: Scores, gate: Calibrated | None = None) -> GateResult:
    return judge_calibration(gate or tm.calibrated(), "calibration_error", scores)


def of(error: float | None = None, curve: Curve | None = None, rows: int = 5000) -> Scores:
    metrics = {"mae": 1.0} if error is None else {"calibration_error": error}
    return Scores(rows=rows, metrics=metrics, curves={"calibration": curve} if curve else {})


def scored(rows: int, days: int, shift: float = 0.0) -> Scores:
    """Scores of probabilities that are right, but for a shift."""
    random = np.random.default_rng(1)
    p = random.random(rows) * 0.8
    frame = pl.LazyFrame(
        {"day": np.arange(rows) % days, "prediction": p, "y": random.random(rows) < p + shift}
    )
    return tm.scores(
        frame, tm.metrics.calibration_error("y"), tm.calibration("y"), day="day" if days else None
    )


@pytest.mark.parametrize(
    ("scores", "outcome", "evidence"),
    [
        (of(0.04), PASSED, "an error of 0.04 over 5,000 rows, at most 0.05"),
        (of(0.06), FAILED, "an error of 0.06 over 5,000 rows, at most 0.05"),
        (of(None, FINE), PASSED, "an error of 0.01 over 1,000 rows, at most 0.05"),
        (of(0.04, FINE), PASSED, "an error of 0.04 over 1,000 rows, at most 0.05"),
        # Ten rows have such an error by chance, so that a small one means nothing.
        (of(0.0, rows=10), UNKNOWN, "so few rows have 0.4 by chance: not enough data to tell"),
        (of(None, {**FINE, "rows": (5.0, 5.0)}), UNKNOWN, "so few rows have 0.14 by chance"),
        (of(NAN), FAILED, "calibration_error is nan over 5,000 rows: a prediction is missing"),
        (of(math.inf), FAILED, "calibration_error is inf"),
        (of(-0.1), FAILED, "calibration_error is -0.1"),
        (of(1.5), FAILED, "or they are no probabilities"),
        (of(0.01, rows=0), FAILED, "no row was scored"),
        (of(), FAILED, "the scores have no calibration: add tm.metrics.calibration_error(...)"),
        (of(None, {**FINE, "actual": (NAN, 0.5)}), FAILED, "the calibration curve isn't one of"),
        (of(None, {**FINE, "predicted": (12.0, 0.5)}), FAILED, "the calibration curve isn't one of"),
        (of(None, {**FINE, "rows": (NAN, 1.0)}), FAILED, "the calibration curve has no rows"),
        (of(None, dict.fromkeys(FINE, ())), FAILED, "the calibration curve has no rows"),
        (of(None, {"predicted": (0.1,)}), FAILED, "the calibration curve has no column 'actual'"),
    ],
)  # fmt: skip
def test_figures(scores: Scores, outcome: GateOutcome, evidence: str) -> None:
    result = judge(scores)
    assert evidence in result.evidence
    assert result.outcome is outcome


def test_another_metric_is_looked_up_by_its_name() -> None:
    gate = tm.calibrated(metric="ece")
    missing = judge_calibration(gate, "ece", of(0.01))
    assert (missing.passed, missing.gate) == (False, "calibrated(ece)")
    assert missing.evidence == "there is no metric 'ece' among calibration_error"
    assert judge_calibration(gate, "ece", replace(of(), metrics={"ece": 0.01})).passed


@pytest.mark.parametrize(
    ("scores", "outcome", "evidence"),
    [
        (scored(20_000, 20), PASSED, "(0.95: "),
        (scored(20_000, 20, shift=0.15), FAILED, "20 days), at most 0.05"),
        (scored(2_000, 20, shift=0.045), UNKNOWN, "at most 0.05: not enough data to tell"),
        (scored(20_000, 13), UNKNOWN, "13 days can't tell (14 can): not enough data to tell"),
        (of(0.01), UNKNOWN, "tm.scores(..., day=...): not enough data to tell"),
        (of(NAN), FAILED, "calibration_error is nan"),
    ],
)
def test_with_confidence_the_whole_interval_decides(
    scores: Scores, outcome: GateOutcome, evidence: str
) -> None:
    result = judge(scores, tm.calibrated(confidence=0.95))
    assert evidence in result.evidence
    assert result.outcome is outcome


def test_days_without_figures_pass_nothing() -> None:
    scores = scored(2_000, 20)
    assert scores.daily is not None
    daily = replace(scores.daily, without={"calibration_error": (NAN,) * 20})
    assert not judge(replace(scores, daily=daily), tm.calibrated(confidence=0.95)).passed


figures = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
columns = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4).map(tuple)


@given(error=figures, rows=st.integers(0, 10_000), curve=st.none() | st.tuples(*[columns] * 3))
def test_only_a_small_error_of_many_rows_passes(
    error: float | None, rows: int, curve: tuple[tuple[float, ...], ...] | None
) -> None:
    named = dict(zip(FINE, curve or (), strict=False))
    result = judge(of(error, named or None, rows))
    if result.passed:
        assert rows > 0
        assert error is None or 0 <= error <= 0.05
        assert error is not None or all(0 <= each <= 1 for each in named["predicted"])


def test_models_of_real_patients() -> None:
    """Naive Bayes is known to be overconfident; a logistic regression isn't."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    kinds = {
        "bayes": bayes.GaussianNB(),
        "regression": pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear.LogisticRegression()
        ),
    }
    found = {}
    for name, kind in kinds.items():
        p = selection.cross_val_predict(kind, x, y, cv=5, method="predict_proba")[:, 1]
        frame = pl.LazyFrame({"prediction": p, "y": y})
        scores = tm.scores(frame, tm.metrics.calibration_error("y"), tm.calibration("y"))
        found[name] = judge(scores)
    assert [found[name].outcome for name in kinds] == [FAILED, PASSED]
    few = tm.scores(
        pl.LazyFrame({"prediction": [0.5] * 8, "y": [0, 1] * 4}),
        tm.metrics.auc("y"),
        tm.calibration("y"),
    )
    assert judge(few).outcome is UNKNOWN
