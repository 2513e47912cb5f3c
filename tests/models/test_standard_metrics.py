"""Standard metrics agree with scikit-learn, and say NaN where they can't tell."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as sk  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tidemill.core.errors import UsageError
from tidemill.models import curves
from tidemill.models import standard_metrics as tm_metrics
from tidemill.models.importance import permutation_importance
from tidemill.models.metric import Metric
from tidemill.models.metrics import scores
from tidemill.models.scored_columns import require_greatest_class
from tidemill.models.threshold import threshold
from tidemill.workflow.gate import Goal

CLASSES = ["bee", "cat", "dog"]


def value_of(frame: pl.DataFrame, metric: Metric) -> float:
    """The metric of a frame, which is the same when rows are grouped."""
    whole = scores(frame.lazy(), metric).metrics[metric.name]
    if not metric.columns:
        [alone] = frame.group_by(pl.lit(1)).agg(metric.expression.alias("x"))["x"]
        assert math.nan if alone is None else alone == pytest.approx(whole, nan_ok=True)
    return whole


def frame_of(seed: int, rows: int, ties: bool) -> pl.DataFrame:
    """Random rows: a number and a guess, a class of two and its probability, a class of three."""
    random = np.random.default_rng(seed)
    y = random.normal(size=rows)
    late = random.random(rows) < 0.4
    late[:2] = [True, False]
    p = np.clip(0.3 * late + 0.7 * random.random(rows), 0, 1)
    three = random.dirichlet([1, 1, 1], rows)
    return pl.DataFrame(
        {
            "y": y, "guess": y + random.normal(size=rows), "w": random.integers(1, 5, rows).astype(float),
            "late": late, "p": np.round(p, 1) if ties else p,
            "animal": [CLASSES[n] for n in random.integers(0, 3, rows)],
            "told": [CLASSES[n] for n in three.argmax(1)],
            **{f"probability_{name}": three[:, n] for n, name in enumerate(CLASSES)},
        }
    )  # fmt: skip


Reference = Callable[[pl.DataFrame, Any], float]
EPS = float(np.finfo(float).eps)
m = tm_metrics


def number(function: Any, **more: Any) -> Reference:
    return lambda f, w: function(f["y"], f["guess"], sample_weight=w, **more)


def chance(function: Any) -> Reference:
    return lambda f, w: function(f["late"], f["p"], sample_weight=w)


def alarm(function: Any, threshold: float = 0.5) -> Reference:
    return lambda f, w: function(f["late"], f["p"] >= threshold, sample_weight=w)


G: dict[str, Any] = {"prediction": "guess"}
P: dict[str, Any] = {"prediction": "p"}
TWINS: dict[str, tuple[Callable[..., Metric], Reference]] = {
    "mae": (lambda **k: m.mae("y", **G, **k), number(sk.mean_absolute_error)),
    "rmse": (lambda **k: m.rmse("y", **G, **k), number(sk.root_mean_squared_error)),
    "r2": (lambda **k: m.r2("y", **G, **k), number(sk.r2_score)),
    "pinball": (lambda **k: m.pinball("y", quantile=0.3, **G, **k), number(sk.mean_pinball_loss, alpha=0.3)),
    "mape": (lambda **k: m.mape("y", floor=EPS, **G, **k), number(sk.mean_absolute_percentage_error)),
    "log_loss": (lambda **k: m.log_loss("late", **P, **k), chance(sk.log_loss)),
    "brier": (lambda **k: m.brier("late", **P, **k), chance(sk.brier_score_loss)),
    "auc": (lambda **k: m.auc("late", **P, **k), chance(sk.roc_auc_score)),
    "average_precision": (lambda **k: m.average_precision("late", **P, **k),
                          chance(sk.average_precision_score)),
    "precision": (lambda **k: m.precision("late", **P, **k), alarm(sk.precision_score)),
    "recall": (lambda **k: m.recall("late", threshold=0.3, **P, **k), alarm(sk.recall_score, 0.3)),
    "f1": (lambda **k: m.f1("late", **P, **k), alarm(sk.f1_score)),
    "accuracy at": (lambda **k: m.accuracy("late", threshold=0.5, **P, **k), alarm(sk.accuracy_score)),
    "accuracy": (lambda **k: m.accuracy("animal", prediction="told", **k),
                 lambda f, w: sk.accuracy_score(f["animal"], f["told"], sample_weight=w)),
    "multiclass_log_loss": (lambda **k: m.multiclass_log_loss("animal", classes=CLASSES, **k),
                            lambda f, w: sk.log_loss(f["animal"], f.select("^probability_.*$").to_numpy(),
                                                     labels=CLASSES, sample_weight=w)),
}  # fmt: skip


@thorough
@settings(max_examples=examples(30))
@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("name", TWINS)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 60), ties=st.booleans())
def test_scikit_learn_says_the_same(
    name: str, weight: str | None, seed: int, rows: int, ties: bool
) -> None:
    frame = frame_of(seed, rows, ties)
    ours, theirs = TWINS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of precision without alarms
        expected = theirs(frame, None if weight is None else frame[weight])
    assert value_of(frame, ours(weight=weight)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 60))
def test_macro_f1_is_that_of_scikit_learn(seed: int, rows: int) -> None:
    frame = frame_of(seed, max(rows, 2), ties=False)
    expected = sk.f1_score(
        frame["animal"], frame["told"], average="macro", labels=CLASSES, zero_division=0
    )
    metric = m.macro_f1("animal", classes=CLASSES, prediction="told")
    assert value_of(frame, metric) == pytest.approx(expected, abs=1e-9)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 9), groups=st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn(seed: int, k: int, groups: int) -> None:
    random = np.random.default_rng(seed)
    gains = random.integers(0, 4, (groups, 7)).astype(float)
    gains[:, 3] = 1.0  # a group without gain is left out here, and 0 there
    guesses = np.round(random.random((groups, 7)), 1)
    frame = pl.DataFrame(
        {"query": np.repeat(np.arange(groups), 7), "gain": gains.ravel(), "prediction": guesses.ravel()}
    ).sample(fraction=1, shuffle=True, seed=seed % 1000)  # fmt: skip
    found = value_of(frame, m.ndcg("gain", group="query", k=k))
    assert found == pytest.approx(sk.ndcg_score(gains, guesses, k=k), abs=1e-9)


def rows_of(prediction: list[float | None], y: list[Any]) -> pl.DataFrame:
    """Scored rows."""
    return pl.DataFrame({"prediction": prediction, "y": y}, strict=False)


NAN = math.nan
EDGES = [
    # metric, predictions, labels, value
    (m.auc("y"), [0.1, 0.9], [1, 1], NAN),  # one class only
    (m.average_precision("y"), [0.1, 0.9], [0, 0], NAN),
    (m.recall("y"), [0.1, 0.9], [0, 0], NAN),
    (m.f1("y"), [0.1, 0.9], [0, 0], NAN),
    (m.precision("y"), [0.1, 0.2], [0, 1], 0.0),  # no alarm
    (m.r2("y"), [1.0, 2.0], [3.0, 3.0], NAN),  # a constant label
    (m.auc("y"), [0.5, 0.5, 0.5], [0, 1, 1], 0.5),  # a constant prediction
    (m.average_precision("y"), [0.5, 0.5, 0.5], [0, 1, 1], 2 / 3),
    (m.auc("y"), [0.1, 0.9, 0.4], [0, 1, 2], NAN),  # a label that is neither 0 nor 1
    (m.log_loss("y"), [1.5, 0.5], [1, 0], NAN),  # no probability
    (m.brier("y"), [-0.1, 0.5], [1, 0], NAN),
    (m.log_loss("y"), [1.0, 0.0], [0, 1], -math.log(EPS)),
    (m.calibration_error("y"), [0.25, 0.25, 1.0, 1.0], [0, 1, 1, 1], 0.125),
    (m.calibration_error("y"), [1.2, 0.5], [1, 0], NAN),
    (m.mape("y", floor=1.0), [1.0, 3.0], [0.0, 2.0], 0.75),
    (m.bias("y"), [1.0, 3.0], [2.0, 5.0], -1.5),
    (m.macro_f1("y", classes=["a", "b"]), [], [], NAN),
    # Rows without a label are left out; one without a prediction makes the figure NaN.
    *[(metric, [0.25, 0.5, 0.75, 0.9], [0, None, 1, 1], value) for metric, value in [
        (m.mae("y"), 0.2), (m.auc("y"), 1.0), (m.accuracy("y", threshold=0.5), 1.0), (m.recall("y"), 1.0),
    ]],
    *[(metric, [0.25, missing, 0.75], [0, 1, 1], NAN) for missing in (None, NAN) for metric in [
        m.mae("y"), m.rmse("y"), m.bias("y"), m.r2("y"), m.pinball("y", quantile=0.5),
        m.mape("y", floor=1.0), m.log_loss("y"), m.brier("y"), m.auc("y"), m.average_precision("y"),
        m.precision("y"), m.recall("y"), m.f1("y"), m.accuracy("y", threshold=0.5), m.calibration_error("y"),
    ]],
    *[(metric, [], [], NAN) for metric in [
        m.mae("y"), m.rmse("y"), m.r2("y"), m.auc("y"), m.average_precision("y"), m.recall("y"),
        m.log_loss("y"), m.calibration_error("y"), m.accuracy("y"),
    ]],
    (m.mae("y"), [0.25, math.inf], [0, 1], math.inf),
    (m.mae("y"), [0.25, 1.0], [0.25, -math.inf], math.inf),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "prediction", "y", "value"), EDGES)
def test_edges(metric: Metric, prediction: list[float | None], y: list[Any], value: float) -> None:
    frame = pl.DataFrame({"prediction": prediction, "y": y}, strict=False)
    if metric.name != "macro_f1":
        frame = frame.cast(pl.Float64)
    assert value_of(frame, metric) == pytest.approx(value, nan_ok=True)


def test_a_class_that_is_not_predicted_is_not_right() -> None:
    frame = pl.DataFrame({"prediction": ["a", None, "b"], "y": ["a", "a", None]})
    assert math.isnan(value_of(frame, m.accuracy("y")))
    assert math.isnan(value_of(frame, m.macro_f1("y", classes=["a", "b"])))
    assert value_of(frame[[0, 2]], m.accuracy("y")) == 1.0


def test_the_positive_class_may_be_a_text() -> None:
    frame = rows_of([0.2, 0.8, 0.9], ["no", "yes", None])
    assert value_of(frame, m.auc("y", positive="yes")) == 1.0
    other = frame.with_columns(no=1 - pl.col("prediction"))
    assert value_of(other, m.auc("y", positive="no", prediction="no")) == 1.0
    assert value_of(frame, m.log_loss("y", positive="yes")) == pytest.approx(-math.log(0.8))


JUDGED = [m.log_loss, m.brier, m.auc, m.average_precision, m.calibration_error, m.precision, m.recall,
          m.f1, partial(m.accuracy, threshold=0.5)]  # fmt: skip


@pytest.mark.parametrize("metric", JUDGED)
@pytest.mark.parametrize(
    ("labels", "dtype", "lesser", "greatest"),
    [
        (["on time", "late", "on time", None], pl.String, "late", "on time"),
        # A library orders texts, whatever the order of an Enum.
        (["b", "a", "b", None], pl.Enum(["b", "a"]), "a", "b"),
        ([True, False, True, None], pl.Boolean, False, True),
        ([1, 0, 1, None], pl.Int64, 0, 1),
    ],
)
def test_the_probability_of_another_class_is_refused(
    metric: Any, labels: list[Any], dtype: Any, lesser: object, greatest: object
) -> None:
    frame = pl.DataFrame({"y": pl.Series(labels, dtype=dtype), "prediction": [0.9, 0.2, 0.8, 0.5]})
    words = (
        f"the probability of the greatest class of 'y', {greatest!r}, not of positive={lesser!r}"
    )
    with pytest.raises(UsageError, match=words):
        scores(frame.lazy(), x=metric("y", positive=lesser))
    right = scores(frame.lazy(), x=metric("y", positive=greatest)).metrics["x"]
    named = frame.with_columns(p=pl.col("prediction"), prediction=pl.lit(0.0))
    assert (
        scores(named.lazy(), x=metric("y", positive=greatest, prediction="p")).metrics["x"] == right
    )


def test_curves_thresholds_and_importance_refuse_the_probability_of_another_class() -> None:
    frame = pl.DataFrame(
        {"y": ["b", "a"] * 2, "prediction": [0.9, 0.2] * 2, "day": ["2026-01-01", "2026-01-02"] * 2}
    )
    words = "greatest class of 'y', 'b', not of positive='a'"
    lazy = frame.lazy()
    with pytest.raises(UsageError, match=words):
        scores(lazy, m.mae("prediction"), curves.roc("y", positive="a"))
    with pytest.raises(UsageError, match=words):
        threshold(lazy, "y", day="day", best=m.f1, positive="a")
    with pytest.raises(UsageError, match=words):
        permutation_importance(
            lambda rows: rows["prediction"], frame, m.auc("y", positive="a"), columns=["prediction"]
        )
    # A class that the label never is says nothing.
    assert scores(lazy, m.brier("y", positive="c")).rows == 4
    with pytest.raises(
        UsageError, match="brier: 'y' is String, which has no value like positive=1"
    ):
        scores(lazy, m.brier("y", positive=1))
    # Polars compares these, and they are never equal.
    binary = frame.with_columns(pl.col("y").cast(pl.Binary))
    assert scores(binary.lazy(), m.brier("y", positive="b")).rows == 4
    require_greatest_class(frame, ("z", 1), "x")


def test_a_label_of_no_known_class_makes_the_loss_nan() -> None:
    frame = frame_of(1, 5, ties=False)
    frame = frame.with_columns(animal=pl.lit("cow"))
    assert math.isnan(value_of(frame, m.multiclass_log_loss("animal", classes=CLASSES)))


def test_rankings_without_relevant_rows_tell_nothing() -> None:
    frame = pl.DataFrame(
        {"q": [1, 1, 2, 2, 3], "y": [0, 1, 0, 0, None], "prediction": [0.9, 0.8, 0.1, 0.2, 0.3]}
    )
    assert value_of(frame, m.hit_rate("y", group="q", k=1)) == 0.0
    assert value_of(frame, m.hit_rate("y", group="q", k=2)) == 1.0
    assert value_of(frame, m.ndcg("y", group="q", k=2)) == pytest.approx(1 / math.log2(3))
    none = frame.filter(pl.col("q") > 1)
    assert math.isnan(value_of(none, m.ndcg("y", group="q", k=2)))
    # Ties count as the last of them: a constant prediction hits nothing.
    tied = frame.with_columns(prediction=pl.lit(0.5))
    assert value_of(tied, m.hit_rate("y", group="q", k=1)) == 0.0
    missing = frame.with_columns(prediction=pl.lit(None, pl.Float64))
    assert math.isnan(value_of(missing, m.ndcg("y", group="q", k=2)))
    assert math.isnan(value_of(missing, m.hit_rate("y", group="q", k=2)))


BAD = [
    (
        lambda: m.pinball("y", quantile=1.0),
        r"pinball\(quantile=1.0\): a quantile is between 0 and 1",
    ),
    (lambda: m.mape("y", floor=0), r"mape\(floor=0\): the floor is .* above 0"),
    (lambda: m.calibration_error("y", bins=0), "at least 1 bin"),
    (lambda: m.ndcg("y", group="q", k=0), r"ndcg\(k=0\)"),
    (lambda: m.macro_f1("y", classes=["a"]), "at least two classes"),
    (lambda: m.multiclass_log_loss("y", classes="ab"), "at least two classes"),
]


@pytest.mark.parametrize(("make", "says"), BAD)
def test_bad_arguments(make: Callable[[], Metric], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_the_best_value_is_known() -> None:
    goals = {
        "mae": Goal.LOW, "bias": Goal.ZERO, "r2": Goal.HIGH, "auc": Goal.HIGH, "brier": Goal.LOW,
        "log_loss": Goal.LOW, "f1": Goal.HIGH, "average_precision": Goal.HIGH,
    }  # fmt: skip
    for name, goal in goals.items():
        assert getattr(m, name)("y").goal is goal
    assert scores(rows_of([1.0], [1.0]).lazy(), m.bias("y"), m.mae("y")).goals == {
        "bias": Goal.ZERO
    }
