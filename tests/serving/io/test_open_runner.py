"""Each stored model gets the fastest runner that predicts what its format does."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from tests.support.served_models import any_threads, stored_artifact
from tidemill.adapters.model_formats.custom import CustomFormat
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.onnx import OnnxModel
from tidemill.adapters.model_formats.pickle import OwnPickle
from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.adapters.model_formats.torch import TorchSafetensors
from tidemill.adapters.model_formats.xgboost import XGBoostUBJ
from tidemill.core.errors import ConflictError, StepError, UsageError
from tidemill.models.predictors import as_predictions, model_input
from tidemill.ports.formats import ModelFormat
from tidemill.serving.io import lightgbm_runner as runner_module
from tidemill.serving.io.function_runner import FunctionRunner
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.io.open_runner import open_runner
from tidemill.workflow.model import ColumnEncoding

__all__ = ["any_threads"]

pytestmark = pytest.mark.usefixtures("any_threads")

datasets = pytest.importorskip("sklearn.datasets")
tree = pytest.importorskip("sklearn.tree")
linear = pytest.importorskip("sklearn.linear_model")
pipeline = pytest.importorskip("sklearn.pipeline")
compose = pytest.importorskip("sklearn.compose")
preprocessing = pytest.importorskip("sklearn.preprocessing")

TABLE, LABEL = datasets.load_wine(return_X_y=True)
NAMES = [f"x{at}" for at in range(TABLE.shape[1])]


def boosted() -> lightgbm.Booster:
    params = {"objective": "l2", "verbosity": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(TABLE, LABEL), 3)


def test_lightgbm_is_run_by_its_library() -> None:
    form, booster = LightGBMText(), boosted()
    runner = open_runner(stored_artifact(form, booster, NAMES), bytes(form.dump(booster)), [form])
    assert isinstance(runner, LightGBMRunner)
    assert (runner.feed, runner.thread_safe, runner.fallback) == ("matrix", True, "")


def test_lightgbm_without_its_library_is_run_by_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(runner_module, "open_library", fail)
    form, booster = LightGBMText(), boosted()
    runner = open_runner(stored_artifact(form, booster, NAMES), bytes(form.dump(booster)), [form])
    assert isinstance(runner, FunctionRunner)
    assert runner.fallback == (
        "LightGBM's library isn't usable: libgomp.so.1: cannot open shared object file"
    )
    assert runner.predict(TABLE).tobytes() == np.asarray(booster.predict(TABLE)).tobytes()


@pytest.mark.parametrize(
    "train",
    [
        lambda: tree.DecisionTreeRegressor().fit(TABLE, LABEL),
        lambda: tree.DecisionTreeClassifier().fit(TABLE, LABEL),
        lambda: tree.DecisionTreeClassifier().fit(TABLE, LABEL == 1),
    ],
    ids=["a number", "three classes", "two classes"],
)
def test_a_model_that_takes_arrays_is_run_by_its_format(
    train: Callable[[], Any], tmp_path: Path
) -> None:
    model = train()
    for form in (SklearnSkops(), OwnPickle(tmp_path)):
        artifact = stored_artifact(form, model, NAMES)
        runner = open_runner(artifact, bytes(form.dump(model)), [form])
        expected = as_predictions(
            form.function(model)(TABLE), len(TABLE), len(artifact.class_labels)
        )
        assert runner.feed == "matrix"
        assert runner.predict(TABLE).tolist() == expected.tolist()
        alone = as_predictions(form.function(model)(TABLE[:1]), 1, len(artifact.class_labels))[0]
        assert runner.predict_row(TABLE[0].tolist()) == alone.tolist()
        assert runner.predict(TABLE[:0]).shape == (0, *expected.shape[1:])
        with pytest.raises(
            UsageError, match=f"{form.name}' doesn't say what its inputs contribute"
        ):
            runner.contributions(TABLE)
        with pytest.raises(UsageError, match=r"reads 13 inputs, but .* shape \(1, 2\)"):
            runner.predict_row([1.0, 2.0])
        runner.close()
        with pytest.raises(ConflictError, match="another version replaced it"):
            runner.predict(TABLE)
        with pytest.raises(ConflictError, match="another version replaced it"):
            runner.contributions(TABLE)


def piped() -> tuple[Any, pl.DataFrame]:
    """A pipeline that gets a frame with text, and rows for it."""
    rows = pl.DataFrame(TABLE[:, :3], schema=["a", "b", "c"], orient="row").with_columns(
        kind=pl.Series(["red", "white"] * (len(TABLE) // 2))
    )
    encoded = compose.ColumnTransformer(
        [("kind", preprocessing.OneHotEncoder(), ["kind"])], remainder="passthrough"
    )
    return pipeline.make_pipeline(encoded, linear.LinearRegression()).fit(rows, LABEL), rows


def test_a_model_that_takes_frames_gets_its_columns_in_their_order() -> None:
    model, rows = piped()
    form: ModelFormat = SklearnSkops()
    artifact = stored_artifact(form, model, rows.columns)
    runner = open_runner(artifact, bytes(form.dump(model)), [form])
    assert runner.feed == "frame"
    shuffled = rows.select("kind", pl.lit(1).alias("other"), "c", "b", "a")
    assert runner.predict(shuffled).tolist() == model.predict(rows).tolist()
    assert runner.predict(shuffled.clear()).shape == (0,)
    with pytest.raises(UsageError, match="takes a frame"):
        runner.predict_row([1.0, 2.0, 3.0, 4.0])


def test_a_model_that_takes_frames_of_encoded_columns_gets_them_of_arrays() -> None:
    numbers = pl.DataFrame(TABLE, schema=NAMES, orient="row")
    model = linear.LinearRegression().fit(numbers, LABEL)
    form = SklearnSkops()
    encodings = tuple(ColumnEncoding(name=name, kind="number") for name in NAMES)
    artifact = stored_artifact(form, model, NAMES, encodings=encodings)
    assert artifact.feed == "frame"
    runner = open_runner(artifact, bytes(form.dump(model)), [form])
    assert runner.feed == "matrix"
    # As many rows as columns, too.
    for rows in (numbers, numbers.head(len(NAMES))):
        given = model_input(rows, artifact.inputs, encodings=encodings, feed="frame")
        encoded = model_input(rows, artifact.inputs, encodings=encodings)
        assert runner.predict(encoded).tolist() == model.predict(given).tolist()
    alone = model.predict(numbers.head(1))[0]
    assert np.isclose(runner.predict_row(TABLE[0].tolist()), alone, rtol=1e-12)


def test_a_format_that_the_project_lacks_is_named() -> None:
    form, booster = LightGBMText(), boosted()
    artifact = stored_artifact(form, booster, NAMES)
    with pytest.raises(StepError, match="stored as 'lightgbm', which none of sklearn reads"):
        open_runner(artifact, bytes(form.dump(booster)), [SklearnSkops()])


def converted(model: Any, given: Any, **options: Any) -> Any:
    skl2onnx = pytest.importorskip("skl2onnx")
    return skl2onnx.to_onnx(model, given, options={type(model): options} if options else None)


@pytest.mark.parametrize(
    ("train", "options", "fallback"),
    [
        (lambda: linear.LinearRegression().fit(TABLE, LABEL), {}, ""),
        (
            lambda: tree.DecisionTreeClassifier().fit(TABLE, LABEL),
            {"zipmap": False},
            "",
        ),
        (
            lambda: tree.DecisionTreeClassifier().fit(TABLE, LABEL == 1),
            {"zipmap": False},
            "",
        ),
        (
            lambda: tree.DecisionTreeClassifier().fit(TABLE, LABEL),
            {},
            "the ONNX model returns a dictionary per row: export it with zipmap=False",
        ),
    ],
    ids=["a number", "three classes", "two classes", "dictionaries"],
)
def test_onnx_is_run_without_the_package_that_reads_it(
    train: Callable[[], Any],
    options: dict[str, Any],
    fallback: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = OnnxModel()
    model = converted(train(), TABLE[:1].astype(np.float32), **options)
    artifact, payload = stored_artifact(form, model, NAMES), bytes(form.dump(model))
    function = form.load(payload)
    if not fallback:
        monkeypatch.setitem(sys.modules, "onnx", None)
    runner = open_runner(artifact, payload, [form])
    assert (runner.thread_safe, runner.fallback) == (True, fallback)
    classes = len(artifact.class_labels)
    expected = as_predictions(function(TABLE), len(TABLE), classes)
    assert runner.predict(TABLE).tobytes() == expected.tobytes()
    for row in TABLE[:5]:
        alone = as_predictions(function(row[np.newaxis]), 1, classes)[0]
        assert runner.predict_row(row.tolist()) == alone.tolist()


def test_onnx_with_an_input_per_column_takes_frames() -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    model, rows = piped()
    types = skl2onnx.common.data_types
    inputs = [(name, types.FloatTensorType([None, 1])) for name in "abc"]
    exported = skl2onnx.convert_sklearn(
        model, "model", [*inputs, ("kind", types.StringTensorType([None, 1]))]
    )
    form = OnnxModel()
    artifact = stored_artifact(form, exported, rows.columns)
    runner = open_runner(artifact, bytes(form.dump(exported)), [form])
    assert runner.feed == "frame"
    expected = form.load(bytes(form.dump(exported)))(rows)[:, 0]
    assert runner.predict(rows).tolist() == expected.tolist()


GAPS = np.where(np.random.default_rng(3).random(TABLE.shape) < 0.1, np.nan, TABLE)
CATEGORIES = np.column_stack([LABEL, TABLE[:, 0]])


@pytest.mark.parametrize(
    ("params", "given", "label", "fallback"),
    [
        ({}, GAPS, LABEL, ""),
        ({"objective": "binary:logistic"}, GAPS, LABEL == 1, ""),
        ({"objective": "multi:softprob", "num_class": 3}, GAPS, LABEL, ""),
        ({"objective": "count:poisson", "num_parallel_tree": 2}, GAPS, LABEL, ""),
        ({"max_cat_to_onehot": 1}, CATEGORIES, TABLE[:, 1], ""),
        ({"booster": "dart", "rate_drop": 0.3}, GAPS, LABEL, "a dart model in place"),
        ({"booster": "gblinear"}, TABLE, LABEL, "a gblinear model in place"),
    ],
    ids=["l2", "binary", "classes", "poisson", "categories", "dart", "linear"],
)
def test_xgboost_predicts_in_place_what_its_format_does(
    params: dict[str, Any], given: Any, label: Any, fallback: str
) -> None:
    xgboost = pytest.importorskip("xgboost")
    kinds = ["c", "q"] if given is CATEGORIES else None
    data = xgboost.DMatrix(given, label, feature_types=kinds, enable_categorical=kinds is not None)
    booster = xgboost.train({"nthread": 1, "seed": 1, **params}, data, 8)
    form = XGBoostUBJ()
    names = [f"x{at}" for at in range(given.shape[1])]
    artifact = stored_artifact(form, booster, names)
    runner = open_runner(artifact, bytes(form.dump(booster)), [form])
    assert fallback in runner.fallback
    assert runner.thread_safe == (not fallback) == (runner.fallback == "")
    function, classes = form.load(bytes(form.dump(booster))), len(artifact.class_labels)
    odd = given[:8].copy()
    for at, value in enumerate([math.nan, -0.0, -1.0, 0.5, 300.0, 1e30, -1e30, 2.0**24 + 1]):
        odd[at, 0] = value
    for rows in (given, odd):
        expected = as_predictions(function(rows), len(rows), classes)
        assert runner.predict(rows).tobytes() == expected.tobytes()
    assert runner.predict_row(odd[0].tolist()) == runner.predict(odd)[0].tolist()
    explained = booster.predict(
        xgboost.DMatrix(given, feature_types=kinds, enable_categorical=kinds is not None),
        pred_contribs=True,
    )
    assert runner.contributions(given).tolist() == explained.astype(float).tolist()
    odd[1, 1] = math.inf
    with pytest.raises(xgboost.core.XGBoostError, match="contains `inf` or a value too large"):
        function(odd)
    with pytest.raises(xgboost.core.XGBoostError, match="contains `inf` or a value too large"):
        runner.predict(odd)


NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.layer = torch.nn.Linear(inputs, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layer(rows)
"""


@pytest.mark.slow
def test_pytorch_runs_on_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is 1.6 GB")
    (tmp_path / "served_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    module = pytest.importorskip("served_nets").Net(len(NAMES))
    form, threads = TorchSafetensors(), torch.get_num_threads()
    try:
        runner = open_runner(stored_artifact(form, module, NAMES), bytes(form.dump(module)), [form])
        assert torch.get_num_threads() == 1
        expected = form.function(module)(TABLE)[:, 0]
        assert runner.predict(TABLE).tobytes() == expected.tobytes()
        assert np.isclose(runner.predict_row(TABLE[0].tolist()), expected[0], rtol=1e-6)
    finally:
        torch.set_num_threads(threads)


def test_a_format_of_the_project_is_run_by_its_function() -> None:
    class Constant:
        """Stores a number."""

        name = "constant"

        def accepts(self, model: Any) -> bool:
            return isinstance(model, float)

        def dump(self, model: float) -> bytes:
            return str(model).encode()

        def load(self, payload: bytes) -> Callable[[Any], Any]:
            return lambda rows: np.full(len(rows), float(payload))

    form = CustomFormat(Constant, "formats:Constant")
    runner = open_runner(stored_artifact(form, 7.5, NAMES), bytes(form.dump(7.5)), [form])
    assert runner.predict(TABLE[:2]).tolist() == [7.5, 7.5]
    assert runner.predict_row(TABLE[0].tolist()) == 7.5
    assert not runner.thread_safe


def test_the_contributions_to_the_second_of_two_classes_are_kept() -> None:
    xgboost = pytest.importorskip("xgboost")
    params = {"objective": "multi:softprob", "num_class": 2, "nthread": 1}
    booster = xgboost.train(params, xgboost.DMatrix(TABLE, LABEL == 1), 3)
    form = XGBoostUBJ()
    runner = open_runner(stored_artifact(form, booster, NAMES), bytes(form.dump(booster)), [form])
    expected = booster.predict(xgboost.DMatrix(TABLE), pred_contribs=True)[:, 1]
    assert runner.contributions(TABLE).tolist() == expected.astype(float).tolist()
