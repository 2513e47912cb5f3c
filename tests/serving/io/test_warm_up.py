"""A model serves only if it predicts its golden rows as in training; what its calls cost is measured."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from tests.support.runners import SumRunner
from tests.support.served_models import any_threads, golden_file, stored_artifact
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.core.errors import StorageError
from tidemill.serving.call_cost import UNKNOWN_COST, runs_inline
from tidemill.serving.io.open_runner import open_runner
from tidemill.serving.io.warm_up import measure_cost, warm_up
from tidemill.workflow.model import Artifact, ColumnEncoding

__all__ = ["any_threads"]

pytestmark = pytest.mark.usefixtures("any_threads")

datasets = pytest.importorskip("sklearn.datasets")
linear = pytest.importorskip("sklearn.linear_model")

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def boosted() -> tuple[LightGBMText, lightgbm.Booster, pl.DataFrame]:
    table, label = datasets.load_wine(return_X_y=True)
    rows = pl.DataFrame(table[:, :3], schema=NAMES, orient="row")
    params = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    return LightGBMText(), lightgbm.train(params, lightgbm.Dataset(table[:, :3], label), 5), rows


def test_a_model_that_predicts_as_in_training_is_measured(boosted: Any) -> None:
    form, booster, rows = boosted
    artifact = stored_artifact(form, booster, NAMES)
    runner = open_runner(artifact, bytes(form.dump(booster)), [form])
    assert runner.cost == UNKNOWN_COST
    assert warm_up(runner, artifact, golden_file(form, booster, artifact, rows)) == 0.0
    assert 0 < runner.cost.call_s < UNKNOWN_COST.call_s
    assert runner.cost.row_s >= 0


def test_a_model_that_predicts_something_else_does_not_serve(boosted: Any) -> None:
    form, booster, rows = boosted
    artifact = stored_artifact(form, booster, NAMES)
    golden = golden_file(form, booster, artifact, rows.reverse())
    stored = pl.read_parquet(golden).with_columns(pl.col("~original0") + 0.5)
    runner = open_runner(artifact, bytes(form.dump(booster)), [form])
    with pytest.raises(StorageError, match=r"it predicts .* where it predicted .* in training"):
        warm_up(runner, artifact, _file(stored))
    assert runner.cost == UNKNOWN_COST


def test_golden_rows_that_the_model_refuses_are_named(boosted: Any) -> None:
    form, booster, rows = boosted
    artifact = stored_artifact(form, booster, NAMES)
    golden = golden_file(form, booster, artifact, rows)
    runner = open_runner(artifact, bytes(form.dump(booster)), [form])
    other = replace(artifact, inputs=("a", "b", "missing"))
    with pytest.raises(StorageError, match=r"predicting its golden rows failed: .*missing"):
        warm_up(runner, other, golden)


def test_a_model_that_predicts_a_row_alone_differently_does_not_serve() -> None:
    class Odd(SumRunner):
        """Predicts a row alone as something else."""

        def predict_row(self, values: list[float]) -> float | list[float]:
            return 7.0

    rows = pl.DataFrame({"a": [1.0, 2.0], "b": [6.0, 3.0], "~original0": [7.0, 5.0]})
    artifact = replace(_plain(), inputs=("a", "b"))
    with pytest.raises(
        StorageError, match=r"predicts 7.0 for a row alone, and 5.0 .* among others"
    ):
        warm_up(Odd(), artifact, _file(rows))


def test_frames_and_encoded_columns_are_given_as_in_training() -> None:
    table, label = datasets.load_wine(return_X_y=True)
    rows = pl.DataFrame(table[:, :3], schema=NAMES, orient="row")
    model = linear.LinearRegression().fit(rows, label)
    form = SklearnSkops()
    encodings = tuple(ColumnEncoding(name=name, kind="number") for name in NAMES)
    for artifact in (
        stored_artifact(form, model, NAMES),
        stored_artifact(form, model, NAMES, encodings=encodings),
    ):
        runner = open_runner(artifact, bytes(form.dump(model)), [form])
        difference = warm_up(runner, artifact, golden_file(form, model, artifact, rows))
        assert difference < 1e-9
        assert runner.cost != UNKNOWN_COST


def test_without_golden_rows_a_row_of_zeros_is_measured(boosted: Any) -> None:
    form, booster, _ = boosted
    artifact = stored_artifact(form, booster, NAMES)
    runner = open_runner(artifact, bytes(form.dump(booster)), [form])
    assert warm_up(runner, artifact, b"") == 0.0
    assert runner.cost != UNKNOWN_COST
    for unknown in (SumRunner(UNKNOWN_COST), SumRunner(UNKNOWN_COST, feed="frame")):
        # Its three zeros are one too many; a frame can't be made up.
        assert warm_up(unknown, artifact, b"") == 0.0
        assert unknown.cost == UNKNOWN_COST


def test_a_call_that_waits_is_not_inline() -> None:
    class Waiting(SumRunner):
        """Waits for another process, which takes no CPU time here."""

        def predict(self, rows: Any) -> Any:
            time.sleep(0.02)
            return super().predict(rows)

    cost = measure_cost(Waiting(), np.ones((1, 2)))
    assert cost.call_s >= 0.02
    assert not runs_inline(cost)


def _plain() -> Artifact:
    form = LightGBMText()
    booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(np.ones((30, 1)), np.ones(30)), 1)
    return replace(stored_artifact(form, booster, ["a"]), classes=json.dumps([]))


def _file(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()
