"""Predictions: numbers, probabilities of two classes, and classes with their probabilities."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError
from tidemill.models.input_compatibility import column_as_json
from tidemill.models.predictors import (
    ModelPredictor,
    TrivialPredictor,
    as_predictions,
    model_input,
    predicted_schema,
)
from tidemill.testing.records import model_artifact
from tidemill.workflow.model import Artifact, ColumnEncoding

FRAME = pl.DataFrame({"hour": [1, 2, None], "wind": [1.0, None, 3.0]})
ENUM = DType("Enum", ("a", "b", "c"))


def artifact(classes: list[Any] | None = None, dtype: DType = ENUM, **more: Any) -> Artifact:
    label = ContractSpec(name="L", version="1.0.0", columns=(Column(name="delay", dtype=dtype),))
    return replace(
        model_artifact(),
        classes=json.dumps(classes) if classes else "",
        label=column_as_json(label, "delay"),
        **more,
    )


def predictor(function: Callable[[Any], Any], known: Artifact) -> ModelPredictor:
    return ModelPredictor(function, known)


def test_a_number_per_row() -> None:
    found = predictor(lambda table: table.sum(axis=1), artifact()).predict(FRAME.lazy()).collect()
    assert found["prediction"].dtype == pl.Float64
    assert found["prediction"][0] == 2.0
    assert found["prediction"].is_nan().to_list() == [False, True, True]


def test_of_two_classes_the_probability_of_the_greater() -> None:
    known = artifact([False, True], DType("Boolean"))
    two = predictor(
        lambda table: np.column_stack([table[:, 0] * 0 + 0.25, table[:, 0] * 0 + 0.75]), known
    )
    assert two.columns == ("prediction",)
    assert two.predict(FRAME.lazy()).collect()["prediction"].to_list()[:2] == [0.75, 0.75]


def test_of_more_classes_the_best_in_the_type_of_the_label() -> None:
    chances = np.array([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0], [np.nan] * 3])
    known = artifact(["c", "a", "b"])
    model = predictor(lambda table: chances, known)
    found = model.predict(FRAME.lazy())
    assert found.collect_schema()["prediction"] == pl.Enum(["a", "b", "c"])
    rows = found.collect()
    assert rows["prediction"].to_list() == ["b", "c", None]
    assert rows["prediction"].dtype == pl.Enum(["a", "b", "c"])
    assert rows["probability_b"].to_list()[:2] == [0.5, 0.0]
    assert model.columns == ("prediction", "probability_c", "probability_a", "probability_b")
    empty = model.predict(FRAME.clear().lazy()).collect()
    assert empty.schema == rows.schema


def test_integer_classes_keep_their_type() -> None:
    model = predictor(lambda table: np.eye(3), artifact([3, 4, 5], DType("Int16")))
    rows = model.predict(FRAME.lazy()).collect()
    assert rows["prediction"].dtype == pl.Int16
    assert rows["prediction"].to_list() == [3, 4, 5]


def test_baselines_predict_the_same_columns() -> None:
    number = TrivialPredictor(artifact(baseline=4.0)).predict(FRAME.lazy()).collect()
    assert number["prediction"].to_list() == [4.0] * 3
    three = artifact(["c", "a", "b"], shares=(0.2, 0.5, 0.3))
    rows = TrivialPredictor(three).predict(FRAME.lazy()).collect()
    assert rows["prediction"].to_list() == ["a"] * 3
    assert rows["probability_b"].to_list() == [0.3] * 3
    assert {k: v for k, v in rows.schema.items() if k not in FRAME.columns} == predicted_schema(
        three
    )


def test_models_get_floats_or_frames_or_encoded_columns() -> None:
    encodings = (
        ColumnEncoding(name="port", kind="category", categories=("a", "b")),
        ColumnEncoding(name="hour", kind="number"),
    )
    table = pl.DataFrame({"hour": [1, None], "port": ["b", "x"], "more": [1, 2]})
    numbers = model_input(table, ("hour",))
    assert numbers[0, 0] == 1
    assert np.isnan(numbers[1, 0])
    frame = model_input(table, ("port", "hour"), feed="frame")
    assert frame.columns == ["port", "hour"]
    encoded = model_input(table, ("port", "hour"), encodings=encodings)
    assert encoded[0].tolist() == [1, 1]
    assert np.isnan(encoded[1]).all()
    named = model_input(table, ("port", "hour"), encodings=encodings, feed="frame")
    assert named.columns == ["port", "hour"]
    assert named.dtypes == [pl.Float64, pl.Float64]


def test_inputs_of_another_kind_are_refused_before_any_row_is_read() -> None:
    text = FRAME.with_columns(pl.col("hour").cast(pl.String)).lazy()
    with pytest.raises(UsageError, match="predicts from numbers, but hour is String"):
        predictor(len, artifact()).predict(text)
    encoded = artifact(encodings=(ColumnEncoding(name="hour", kind="number"),), inputs=("hour",))
    with pytest.raises(UsageError, match="'hour' is String, but it was encoded as a number"):
        predictor(len, encoded).predict(text)
    got: list[Any] = []

    def record(table: Any) -> Any:
        got.append(table)
        return np.zeros(len(table))

    framed = predictor(record, artifact(feed="frame"))
    assert framed.predict(text).collect()["prediction"].to_list() == [0.0] * 3
    assert got[0].schema == {"hour": pl.String, "wind": pl.Float64}


@pytest.mark.parametrize(
    ("values", "classes", "words"),
    [
        (np.zeros((3, 3)), 0, "predicts 3 classes; name them in the order of its probabilities"),
        (np.zeros((3, 2)), 3, "predicts 2 classes"),
        # Two labels of a regression, or two classes that aren't named.
        (np.zeros((3, 2)), 0, r"shape \(3, 2\), not \(3,\)"),
        (np.zeros(2), 0, r"shape \(2,\), not \(3,\): a model predicts one number per row"),
        (0.0, 0, r"shape \(\), not \(3,\)"),
    ],
)
def test_outputs_of_another_shape_are_refused(values: Any, classes: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        as_predictions(values, 3, classes)


def test_a_column_of_numbers_is_one_number_per_row() -> None:
    assert as_predictions(np.ones((3, 1)), 3, 0).shape == (3,)
    assert as_predictions(np.ones((3, 2)), 3, 2).shape == (3,)
