"""A LightGBM model that is run by its C library predicts what `Booster.predict` does, bit for bit."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.served_models import any_threads, stored_artifact
from tests.support.thoroughness import examples
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.core.errors import ConflictError, StorageError, TidemillError, UsageError
from tidemill.models.predictors import as_predictions
from tidemill.serving.io.lightgbm_runner import LightGBMRunner

__all__ = ["any_threads"]

pytestmark = pytest.mark.usefixtures("any_threads")

datasets = pytest.importorskip("sklearn.datasets")
QUIET = {"verbosity": -1, "num_threads": 1, "seed": 1, "min_data_in_leaf": 5}


def trained(
    table: Any, label: Any, rounds: int = 12, categorical: Sequence[int] = (), **params: Any
) -> lightgbm.Booster:
    options = {"linear_tree": bool(params.get("linear_tree", False))}
    data = lightgbm.Dataset(
        table, label, categorical_feature=list(categorical), params={**QUIET, **options}
    )
    return lightgbm.train({**QUIET, **params}, data, rounds)


def with_gaps(table: Any) -> Any:
    gaps = np.array(table, dtype=np.float64)
    gaps[np.random.default_rng(5).random(gaps.shape) < 0.1] = np.nan
    return gaps


def diabetes(**params: Any) -> tuple[lightgbm.Booster, Any]:
    table, label = datasets.load_diabetes(return_X_y=True)
    return trained(with_gaps(table), label, **params), table


def cancer(**params: Any) -> tuple[lightgbm.Booster, Any]:
    table, label = datasets.load_breast_cancer(return_X_y=True)
    return trained(table, label, **params), table


def wine(**params: Any) -> tuple[lightgbm.Booster, Any]:
    table, label = datasets.load_wine(return_X_y=True)
    return trained(table, label, num_class=3, **params), table


def categories() -> tuple[lightgbm.Booster, Any]:
    rng = np.random.default_rng(2)
    table = np.column_stack([rng.integers(0, 40, 600), rng.integers(0, 3, 600), rng.random(600)])
    label = np.sin(table[:, 0]) + table[:, 1] * table[:, 2]
    gaps = with_gaps(table)
    return trained(gaps, label, categorical=[0, 1], min_data_per_group=5), table


def wide(columns: int) -> tuple[lightgbm.Booster, Any]:
    rng = np.random.default_rng(columns)
    table = rng.normal(size=(120, columns))
    return trained(table, table[:, 0] - table[:, -1] + rng.normal(size=120)), table


def custom() -> tuple[lightgbm.Booster, Any]:
    table, label = datasets.load_diabetes(return_X_y=True)

    def objective(scores: Any, data: Any) -> tuple[Any, Any]:
        return np.sign(scores - data.get_label()), np.ones_like(scores)

    return trained(table, label, objective=objective), table


def stopped() -> tuple[lightgbm.Booster, Any]:
    """A model that stopped early: its text ends with the best iteration."""
    table, label = datasets.load_diabetes(return_X_y=True)
    data = lightgbm.Dataset(table[:200], label[:200], params=QUIET)
    booster = lightgbm.train(
        {**QUIET, "metric": "l2", "learning_rate": 0.5},
        data,
        60,
        valid_sets=[lightgbm.Dataset(table[200:], label[200:], reference=data)],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
        keep_training_booster=True,
    )
    assert 0 < booster.best_iteration < booster.current_iteration()
    return booster, table


def stump() -> tuple[lightgbm.Booster, Any]:
    """A model without a split."""
    table = np.ones((30, 2))
    return trained(table, np.arange(30.0)), table


MODELS: dict[str, Callable[[], tuple[lightgbm.Booster, Any]]] = {
    "l2": diabetes,
    "l1": lambda: diabetes(objective="l1"),
    "poisson": lambda: diabetes(objective="poisson"),
    "tweedie": lambda: diabetes(objective="tweedie"),
    "gamma": lambda: diabetes(objective="gamma"),
    "quantile": lambda: diabetes(objective="quantile", alpha=0.9),
    "sqrt": lambda: diabetes(reg_sqrt=True),
    "dart": lambda: diabetes(boosting="dart"),
    "forest": lambda: diabetes(boosting="rf", bagging_freq=1, bagging_fraction=0.5),
    "linear": lambda: diabetes(linear_tree=True),
    "zero as missing": lambda: diabetes(zero_as_missing=True),
    "binary": lambda: cancer(objective="binary"),
    "cross entropy": lambda: cancer(objective="cross_entropy"),
    "cross entropy lambda": lambda: cancer(objective="cross_entropy_lambda"),
    "multiclass": lambda: wine(objective="multiclass"),
    "one against all": lambda: wine(objective="multiclassova"),
    "categories": categories,
    "1 feature": lambda: wide(1),
    "500 features": lambda: wide(500),
    "custom": custom,
    "stopped early": stopped,
    "stump": stump,
}


@cache
def opened(name: str) -> tuple[LightGBMRunner, lightgbm.Booster, Any]:
    """The runner of a model, the booster of the same text, and rows to predict."""
    booster, table = MODELS[name]()
    form = LightGBMText()
    payload = form.dump(booster)
    inputs = [f"x{at}" for at in range(table.shape[1])]
    artifact = stored_artifact(form, booster, inputs)
    return LightGBMRunner(artifact, payload), lightgbm.Booster(model_str=payload.decode()), table


def require_equal_bits(runner: LightGBMRunner, booster: lightgbm.Booster, table: Any) -> None:
    expected = np.asarray(booster.predict(table))
    assert runner.predict(table).tobytes() == expected.tobytes()
    assert runner.predict(table).shape == expected.shape
    one_by_one = np.array([runner.predict_row(row) for row in table.tolist()])
    assert one_by_one.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_predicted_as_by_the_package(name: str) -> None:
    runner, booster, table = opened(name)
    gaps = with_gaps(table)
    gaps[0], gaps[1], gaps[2], gaps[3] = math.nan, math.inf, -math.inf, -0.0
    gaps[4], gaps[5], gaps[6] = 1e-36, 1e300, 7.5
    for rows in (table[:60], gaps[:60]):
        require_equal_bits(runner, booster, rows)
    assert runner.features == table.shape[1]
    assert not runner.fallback


@pytest.mark.parametrize("name", ["l2", "categories", "linear", "multiclass", "zero as missing"])
def test_any_numbers_are_predicted_as_by_the_package(name: str) -> None:
    runner, booster, table = opened(name)

    @settings(max_examples=examples(30, 300))
    @given(arrays(np.float64, st.tuples(st.integers(1, 4), st.just(table.shape[1]))))
    def check(rows: Any) -> None:
        require_equal_bits(runner, booster, rows)

    check()


@pytest.mark.parametrize(
    "rows",
    [
        lambda table: np.asfortranarray(table),
        lambda table: table[::2],
        lambda table: table.astype(np.float32),
        lambda table: np.rint(table).astype(np.int64),
    ],
    ids=["columns first", "every other row", "float32", "int64"],
)
def test_arrays_of_other_layouts_and_types_are_taken(rows: Callable[[Any], Any]) -> None:
    runner, booster, table = opened("l2")
    given_rows = rows(table[:20])
    require_equal_bits(runner, booster, given_rows)


@pytest.mark.parametrize(
    "name", ["l2", "forest", "binary", "multiclass", "categories", "1 feature", "custom", "stump"]
)
def test_contributions_are_those_of_the_package(name: str) -> None:
    runner, booster, table = opened(name)
    rows = with_gaps(table)[:30]
    expected = np.asarray(booster.predict(rows, pred_contrib=True))
    found = runner.contributions(rows)
    assert found.tobytes() == expected.tobytes()
    classes = runner.predict(rows).shape[1:]
    assert found.shape == (30, *classes, table.shape[1] + 1)
    raw = np.asarray(booster.predict(rows, raw_score=True))
    assert np.allclose(found.sum(axis=-1), raw)
    # They change nothing for predictions.
    require_equal_bits(runner, booster, rows)


def test_linear_trees_have_no_contributions() -> None:
    runner, _, table = opened("linear")
    with pytest.raises(TidemillError, match="not implemented for linear trees"):
        runner.contributions(table)


def test_no_rows_give_no_predictions() -> None:
    assert opened("l2")[0].predict(np.empty((0, 10))).shape == (0,)
    assert opened("multiclass")[0].predict(np.empty((0, 13))).shape == (0, 3)


def test_of_two_classes_the_probability_of_the_second_is_kept() -> None:
    table, label = datasets.load_breast_cancer(return_X_y=True)
    booster = trained(table, label, 3, objective="multiclass", num_class=2)
    form = LightGBMText()
    names = [f"x{at}" for at in range(table.shape[1])]
    artifact = stored_artifact(form, booster, names, classes=[False, True])
    runner = LightGBMRunner(artifact, form.dump(booster))
    expected = as_predictions(booster.predict(table[:9]), 9, 2)
    assert runner.predict(table[:9]).tobytes() == expected.tobytes()
    assert [runner.predict_row(row) for row in table[:9].tolist()] == expected.tolist()


@pytest.mark.parametrize("count", [0, 9, 11, 400])
def test_another_number_of_values_never_reaches_the_library(count: int) -> None:
    runner, _, table = opened("l2")
    with pytest.raises(UsageError, match=f"reads 10 inputs, not {count}"):
        runner.predict_row([0.0] * count)
    with pytest.raises(UsageError, match=rf"reads 10 inputs, but .* shape \(2, {count}\)"):
        runner.predict(np.zeros((2, count)))
    with pytest.raises(UsageError, match=r"reads 10 inputs, but"):
        runner.contributions(np.zeros((2, count)))
    with pytest.raises(UsageError, match=r"reads 10 inputs, but .* shape \(10,\)"):
        runner.predict(np.zeros(10))
    require_equal_bits(runner, opened("l2")[1], table[:2])


def test_a_row_of_other_values_is_refused() -> None:
    runner = opened("l2")[0]
    with pytest.raises(UsageError, match="a row for the model holds numbers, with NaN for null"):
        runner.predict_row([None] * 10)  # type: ignore[list-item]


def test_the_record_must_name_as_many_inputs_as_the_file_has() -> None:
    booster, _ = wide(3)
    form = LightGBMText()
    artifact = stored_artifact(form, booster, ["a", "b"])
    with pytest.raises(StorageError, match=r"has 3 features, but .* names 2 inputs"):
        LightGBMRunner(artifact, form.dump(booster))


def test_the_record_must_name_as_many_classes_as_the_file_has() -> None:
    booster, table = wine(objective="multiclass")
    form = LightGBMText()
    names = [f"x{at}" for at in range(table.shape[1])]
    artifact = stored_artifact(form, booster, names, classes=["a", "b", "c", "d"])
    with pytest.raises(UsageError, match=r"its output for 1 rows has shape \(1, 3\)"):
        LightGBMRunner(artifact, form.dump(booster))


def test_an_error_of_the_library_has_its_words() -> None:
    booster, _ = wide(1)
    artifact = stored_artifact(LightGBMText(), booster, ["x0"])
    with pytest.raises(TidemillError, match=r"LightGBM: .* the number of classes"):
        LightGBMRunner(artifact, b"tree\nno model\n")


def test_a_closed_model_refuses_calls() -> None:
    booster, table = wide(2)
    form = LightGBMText()
    artifact = stored_artifact(form, booster, ["a", "b"])
    runner = LightGBMRunner(artifact, form.dump(booster))
    runner.predict_row([1.0, 2.0])
    runner.close()
    runner.close()
    for call in (
        lambda: runner.predict_row([1.0, 2.0]),
        lambda: runner.predict(table),
        lambda: runner.contributions(table),
    ):
        with pytest.raises(ConflictError, match="another version replaced it"):
            call()
    raised = list[Exception]()

    def call_elsewhere() -> None:
        try:
            runner.predict_row([1.0, 2.0])
        except ConflictError as error:
            raised.append(error)

    # Without buffers of its own.
    thread = threading.Thread(target=call_elsewhere)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_closing_waits_for_the_calls_in_flight() -> None:
    """A call of a thread ends with its prediction, or is refused; it never reads memory that was freed."""
    booster, table = wide(5)
    form = LightGBMText()
    artifact, payload = stored_artifact(form, booster, list("abcde")), form.dump(booster)
    row, expected = table[0].tolist(), booster.predict(table[:1])[0]
    batch = np.repeat(table, 40, axis=0)
    for turn in range(20):
        runner = LightGBMRunner(artifact, payload)
        begun, wrong = threading.Barrier(3), list[object]()

        def call(runner: LightGBMRunner, begun: threading.Barrier, wrong: list[object]) -> None:
            begun.wait()
            try:
                while True:
                    found = runner.predict_row(row)
                    rows = runner.predict(batch)
                    if found != expected or rows[0] != expected:
                        wrong.append(found)
            except ConflictError:
                return

        threads = [threading.Thread(target=call, args=(runner, begun, wrong)) for _ in range(2)]
        for thread in threads:
            thread.start()
        begun.wait()
        for _ in range(turn):
            runner.predict_row(row)
        runner.close()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_model_that_nobody_closes_is_freed() -> None:
    booster, _ = wide(2)
    form = LightGBMText()
    artifact = stored_artifact(form, booster, ["a", "b"])
    runner = LightGBMRunner(artifact, form.dump(booster))
    freed = list[int]()

    class Library:
        """Records what is freed in place of the library."""

        def __init__(self, library: Any) -> None:
            self.short = self.long = self
            self._library = library

        def LGBM_BoosterFree(self, handle: Any) -> int:
            freed.append(handle.value)
            return int(self._library.long.LGBM_BoosterFree(handle))

    expected = runner._handle.value
    runner._library = Library(runner._library)  # type: ignore[assignment]
    del runner
    gc.collect()
    assert freed == [expected]
