from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.importance import library_importance, permutation_importance
from tidemill.models.metric import Metric
from tidemill.workflow.gate import Goal

ERROR = (pl.col("prediction") - pl.col("y")).abs().mean()


def table(rows: int = 300) -> pl.DataFrame:
    chance = np.random.default_rng(5)
    frame = pl.DataFrame(
        {
            "size": chance.choice(["large", "small"], rows),
            "x": chance.normal(size=rows),
            "noise": chance.normal(size=rows),
            "day": pl.Series([None] * rows, dtype=pl.Date),
        }
    )
    return predict(frame.lazy()).rename({"prediction": "y"}).collect()


def predict(frame: pl.LazyFrame) -> pl.LazyFrame:
    size = (
        pl.when(pl.col("size") == "large")
        .then(10.0)
        .when(pl.col("size") == "small")
        .then(1.0)
        .otherwise(0.0)
    )
    return frame.with_columns(prediction=size + pl.col("x"))


def test_columns_are_ranked_by_what_the_model_loses_without_them() -> None:
    found = permutation_importance(predict, table(), ERROR, columns=["noise", "x", "size", "day"])
    assert [each.column for each in found.columns] == ["size", "x", "day", "noise"]
    assert found.value == 0
    assert found.frame()["mean"].to_list()[2:] == [0, 0]
    assert all(found.frame()["low"] <= found.frame()["mean"])
    assert all(len(each.values) == 10 for each in found.columns)


def test_predictions_that_the_rows_already_have_are_replaced() -> None:
    scored = table().with_columns(prediction=pl.col("y"))
    found = permutation_importance(predict, scored, ERROR, columns=["x", "noise"])
    assert found == permutation_importance(predict, table(), ERROR, columns=["x", "noise"])
    assert found.columns[0].mean > 0


def test_the_seed_decides_and_the_order_of_columns_does_not() -> None:
    def run(*columns: str, seed: int = 3) -> dict[str, tuple[float, ...]]:
        found = permutation_importance(
            predict, table(), ERROR, columns=columns, repeats=3, seed=seed
        )
        return {each.column: each.values for each in found.columns}

    assert run("x", "size") == run("size", "x")
    assert run("x")["x"] == run("x", "size")["x"]
    assert run("x") != run("x", seed=4)


def test_a_metric_of_which_more_is_better_and_one_best_at_zero() -> None:
    frame = table()
    agreed = Metric(name="agreed", expression=(-ERROR), goal=Goal.HIGH)
    found = permutation_importance(predict, frame, agreed, columns=["x"])
    assert found.metric == "agreed"
    assert found.columns[0].mean > 0.5
    bias = Metric(
        name="bias",
        expression=pl.col("off").mean(),
        goal=Goal.ZERO,
        columns={"off": (pl.col("prediction") - pl.col("y")).abs()},
    )
    assert permutation_importance(predict, frame, bias, columns=["x"]).columns[0].mean > 0.5


def test_models_say_which_columns_they_read() -> None:
    model = SimpleNamespace(artifact=SimpleNamespace(inputs=("x",)), predict=predict)
    found = permutation_importance(model, table().lazy(), ERROR, repeats=2)
    assert [each.column for each in found.columns] == ["x"]


def test_functions_may_return_arrays() -> None:
    def array(frame: pl.LazyFrame) -> Any:
        return predict(frame).collect()["prediction"].to_numpy()

    frame = table()
    one = permutation_importance(array, frame, ERROR, columns=["x"])
    other = permutation_importance(predict, frame, ERROR, columns=["x"])
    # Sums of floats depend on their order in threads.
    assert one.columns[0].values == pytest.approx(other.columns[0].values)


def test_large_tables_are_sampled() -> None:
    found = permutation_importance(predict, table(), ERROR, columns=["x"], rows=50)
    assert found.rows == 50
    assert permutation_importance(predict, table(), ERROR, columns=["x"], rows=None).rows == 300


@pytest.mark.parametrize(
    ("frame", "metric", "options", "message"),
    [
        (table().clear(), ERROR, {"columns": ["x"]}, "the frame is empty"),
        (table(), ERROR, {}, r"needs columns=\[...\]"),
        (table(), ERROR, {"columns": ["xx"]}, "no column 'xx' .*'x'"),
        (table(), ERROR, {"columns": ["x"], "repeats": 0}, "at least 1"),
        (table(), pl.col("prediction"), {"columns": ["x"]}, "which is no aggregate"),
        (table(), pl.lit(float("nan")), {"columns": ["x"]}, "which is nan"),
        (table(), pl.lit(None), {"columns": ["x"]}, "which is None"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    frame: pl.DataFrame, metric: pl.Expr, options: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        permutation_importance(predict, frame, metric, **options)


def test_trees_and_linear_models_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    trees = pytest.importorskip("sklearn.tree", reason="scikit-learn is not installed")
    x = np.random.default_rng(0).normal(size=(50, 2))
    y = 3 * x[:, 0] - 5 * x[:, 1]
    found = library_importance(linear.LinearRegression().fit(x, y), ["a", "b"])
    assert found == pytest.approx({"a": 3, "b": 5})
    tree = library_importance(trees.DecisionTreeRegressor(random_state=0).fit(x, y))
    assert list(tree) == ["column 1", "column 2"]
    assert sum(tree.values()) == pytest.approx(1)
    with pytest.raises(UsageError, match="has 2 columns, but 1 names"):
        library_importance(linear.LinearRegression().fit(x, y), ["a"])


def test_boosters_of_lightgbm_and_xgboost() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    y = 3 * x[:, 0]
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    data = lightgbm.Dataset(x, y, feature_name=["a", "b"])
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 3)
    found = library_importance(booster)
    assert found["a"] > found["b"]
    xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed")
    other = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 3)
    # A column that no split uses has no gain of its own.
    assert list(library_importance(other)) == ["f0", "f1"]
    named = library_importance(other, ["a", "b"])
    assert named["a"] > named["b"]


def test_other_models_say_nothing() -> None:
    with pytest.raises(UsageError, match=r"object doesn't say .* tm.permutation_importance"):
        library_importance(object())
