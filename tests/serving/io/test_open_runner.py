"""Each stored model gets the fastest runner that predicts what its format does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from tests.support.served_models import any_threads, stored_artifact
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.pickle import OwnPickle
from tidemill.adapters.model_formats.sklearn import SklearnSkops
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

ensemble = pytest.importorskip("sklearn.ensemble")
datasets = pytest.importorskip("sklearn.datasets")
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
    runner = open_runner(stored_artifact(form, booster, NAMES), form.dump(booster), [form])
    assert isinstance(runner, LightGBMRunner)
    assert (runner.feed, runner.thread_safe, runner.fallback) == ("matrix", True, "")


def test_lightgbm_without_its_library_is_run_by_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(runner_module, "open_library", fail)
    form, booster = LightGBMText(), boosted()
    runner = open_runner(stored_artifact(form, booster, NAMES), form.dump(booster), [form])
    assert isinstance(runner, FunctionRunner)
    assert runner.fallback == (
        "LightGBM's library isn't usable: libgomp.so.1: cannot open shared object file"
    )
    assert runner.predict(TABLE).tobytes() == np.asarray(booster.predict(TABLE)).tobytes()


@pytest.mark.parametrize(
    "train",
    [
        lambda: ensemble.HistGradientBoostingRegressor(max_iter=3).fit(TABLE, LABEL),
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=3).fit(TABLE, LABEL),
        lambda: linear.LogisticRegression(max_iter=10_000).fit(TABLE, LABEL == 1),
    ],
    ids=["a number", "three classes", "two classes"],
)
def test_a_model_that_takes_arrays_is_run_by_its_format(
    train: Callable[[], Any], tmp_path: Path
) -> None:
    model = train()
    for form in (SklearnSkops(), OwnPickle(tmp_path)):
        artifact = stored_artifact(form, model, NAMES)
        runner = open_runner(artifact, form.dump(model), [form])
        expected = as_predictions(
            form.function(model)(TABLE), len(TABLE), len(artifact.class_labels)
        )
        assert runner.feed == "matrix"
        assert runner.predict(TABLE).tolist() == expected.tolist()
        alone = as_predictions(form.function(model)(TABLE[:1]), 1, len(artifact.class_labels))[0]
        assert runner.predict_row(TABLE[0].tolist()) == alone.tolist()
        assert runner.predict(TABLE[:0]).shape == (0, *expected.shape[1:])
        with pytest.raises(UsageError, match=r"reads 13 inputs, but .* shape \(1, 2\)"):
            runner.predict_row([1.0, 2.0])
        runner.close()
        with pytest.raises(ConflictError, match="another version replaced it"):
            runner.predict(TABLE)


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
    runner = open_runner(artifact, form.dump(model), [form])
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
    runner = open_runner(artifact, form.dump(model), [form])
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
        open_runner(artifact, form.dump(booster), [SklearnSkops()])
