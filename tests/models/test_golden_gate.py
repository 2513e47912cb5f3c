"""Golden rows: every row whose prediction isn't the expected one is named; what isn't known fails."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.models.golden_gate import golden_value_faults, input_columns, judge_golden
from tidemill.models.input_compatibility import column_as_json
from tidemill.models.predictors import ModelPredictor
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import GateResult
from tidemill.workflow.model import Artifact
from tidemill.workflow.model_gates import Golden
from tidemill.workflow.stage import Input, Kind, Stage

datasets = pytest.importorskip("sklearn.datasets")
trees = pytest.importorskip("sklearn.tree")


class Flights(tm.Contract, version="1.0.0", key=("day", "carrier")):
    day = tm.Date(partition="1d")
    carrier = tm.String(regex="[0-9A-Z]{2}", unique=True)
    origin = tm.Enum(["EWR", "JFK"], on_fail="fail")
    hour = tm.Int64(min=0, max=23)
    wind = tm.Float64(nullable=True, on_fail="warn")
    kind = tm.Enum(["a", "b", "c"])
    late = tm.Bool()


SPEC = Flights.reads("hour").contract
COLUMNS = {column.name: column for column in SPEC.columns}
NUMBER = replace(model_artifact(), inputs=("hour", "wind"))


def classes(*labels: Any) -> Artifact:
    return replace(
        NUMBER, classes=json.dumps(labels), label=column_as_json(SPEC, "kind"), output="kind"
    )


def judge(
    *rows: dict[str, Any],
    predict: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    artifact: Artifact = NUMBER,
    **options: Any,
) -> GateResult:
    """Judge rows by a model that predicts ten times the hour."""

    def ten_times(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(prediction=pl.col("hour") * 10.0)

    gate: Golden = tm.golden(rows, **options)
    return judge_golden(gate, gate.rows, artifact, COLUMNS, predict or ten_times)


def row(name: str, hour: Any, expect: Any, **values: Any) -> dict[str, Any]:
    return {"name": name, "hour": hour, "wind": None, "expect": expect, **values}


def test_rows_as_expected() -> None:
    result = judge(row("calm", 1, 10), row("rush", 17, (160, 180)), row("text", "2", 20.0, wind=1))
    assert (result.passed, result.evidence) == (True, "3 rows predicted as expected")


def test_every_row_that_fails_is_named() -> None:
    result = judge(
        row("calm", 1, 10),
        row("rush", 17, (160, 169.9)),
        row("night", 3, 31),
        tolerance=0.5,
    )
    assert not result.passed
    assert result.evidence == (
        "2 of 3 rows: rush: 170, expected 160 to 169.9; night: 30, expected 31"
    )
    assert judge(row("night", 3, 31), tolerance=1).passed
    assert "\\x1b[31m: 10" in judge(row("\x1b[31m", 1, 99)).evidence
    many = judge(*[row(f"r{n}", 1, 99) for n in range(60)])
    assert many.evidence.startswith("60 of 60 rows: r0: 10, expected 99; r1: ")
    assert many.evidence.endswith("; also " + ", ".join(f"r{n}" for n in range(50, 60)))


@pytest.mark.parametrize("prediction", [None, math.nan])
def test_no_prediction_is_no_right_one(prediction: float | None) -> None:
    def silent(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(prediction=pl.lit(prediction, pl.Float64))

    result = judge(row("calm", 1, (-1e300, 1e300)), predict=silent)
    assert result.evidence == "1 of 1 row: calm: no prediction, expected -1e+300 to 1e+300"


def test_predictions_that_are_no_answer() -> None:
    fewer = judge(
        row("calm", 1, 10), predict=lambda frame: frame.clear().with_columns(prediction=1)
    )
    assert fewer.evidence == "0 predictions of 1 row"

    def words(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(prediction=pl.lit("ten"))

    assert "calm: 'ten', expected 10" in judge(row("calm", 1, 10), predict=words).evidence
    assert "calm: 10, which is no class, expected 'a'" in judge(row("calm", 1, "a")).evidence


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [{"name": "calm", "hour": 1, "expect": 10}],
            "golden row 'calm' has no wind, which the model",
        ),
        ([row("calm", 25, 10)], "golden row 'calm': hour=25 breaks hour.max"),
        ([row("calm", "noon", 10)], "golden row 'calm': hour='noon' breaks hour.type"),
        ([row("calm", 1.5, 10)], "golden row 'calm': hour=1.5 breaks hour.type"),
        ([row("calm", None, 10)], "golden row 'calm': hour=None breaks hour.null"),
        ([row("fine", 1, 10), row("calm", -1, 10)], "golden row 'calm': hour=-1 breaks hour.min"),
    ],
)
def test_inputs_must_pass_their_contract(rows: Any, says: str) -> None:
    result = judge(*rows)
    assert not result.passed
    assert result.evidence.startswith(says)


def test_columns_and_rows_must_exist() -> None:
    lost = replace(NUMBER, inputs=("hour", "gust"))
    result = judge(row("calm", 1, 10, gust=3), artifact=lost)
    assert result.evidence == "no input has the column gust"
    nothing = judge_golden(Golden(file="x.csv"), (), NUMBER, COLUMNS, lambda frame: frame)
    assert (nothing.passed, nothing.evidence) == (False, "there are no golden rows")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("day", date(2026, 1, 1), ""),
        ("day", "2026-01-01", ""),
        ("day", "someday", "day.type"),
        ("carrier", "UA", ""),
        ("carrier", "ua", "carrier.regex"),
        ("origin", "EWR", ""),
        ("origin", "LGA", "origin.type"),
        ("wind", 3, ""),
        ("wind", "strong", "wind.type"),
        ("late", True, ""),
        ("late", "maybe", "late.type"),
    ],
)
def test_values_are_read_as_rows_of_the_data_are(column: str, value: Any, rule: str) -> None:
    gate: Golden = tm.golden([{"name": n, column: value, "expect": 1} for n in ("a", "b")])
    wanted = [f"golden row {n!r}: {column}={value!r} breaks {rule}" for n in ("a", "b")]
    assert golden_value_faults(gate.rows, COLUMNS) == (wanted if rule else [])


def test_a_column_is_that_of_the_first_input() -> None:
    class Others(tm.Contract, version="1.0.0"):
        hour = tm.String()
        gust = tm.Float64()

    model = Stage(
        name="model", kind=Kind.MODEL, function=None, output=None, place="x.py:1",
        inputs=(Input(name="a", contract=SPEC), Input(name="b", contract=Others.reads("hour").contract),
                Input(name="c", contract=None)),
    )  # fmt: skip
    found = input_columns(model)
    assert (found["hour"].dtype.name, found["gust"].dtype.name) == ("Int64", "Float64")


@pytest.mark.parametrize(
    ("labels", "prediction", "expect", "why"),
    [
        # Of two classes, the prediction is the probability of the second one.
        ((False, True), 0.9, True, ""),
        ((False, True), 0.9, "true", ""),
        ((False, True), 0.9, 0.9, ""),
        ((False, True), 0.9, False, "True, expected False"),
        ((False, True), 0.9, (0.0, 0.5), "0.9, expected 0 to 0.5"),
        (("late", "on time"), 0.2, "late", ""),
        (("late", "on time"), 0.5, "late", "'on time', expected 'late'"),
        (("late", "on time"), 0.2, "lost", "0.2, expected 'lost', which is none of the classes"),
        (("a", "b", "c"), "b", "b", ""),
        (("a", "b", "c"), "b", "c", "'b', expected 'c'"),
        (("a", "b", "c"), "b", (0, 1), "'b', expected 0 to 1, which is none of the classes 'a'"),
        (("a", "b", "c"), "b", 1, "'b', expected 1, which is none of the classes 'a', 'b', 'c'"),
        ((1, 2, 3), 2, 2, ""),
        ((1, 2, 3), 2, "2", ""),
        ((1, 2, 3), 2, 3, "2, expected 3"),
    ],
)  # fmt: skip
def test_classes(labels: tuple[Any, ...], prediction: Any, expect: Any, why: str) -> None:
    result = judge(
        row("calm", 1, expect),
        artifact=classes(*labels),
        predict=lambda frame: frame.with_columns(prediction=pl.lit(prediction)),
    )
    assert result.passed is (not why), result.evidence
    assert f"calm: {why}" in result.evidence or not why


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(prediction=numbers, expect=st.floats(-1e6, 1e6), tolerance=st.floats(0, 10))
def test_a_prediction_farther_away_never_passes(
    prediction: float, expect: float, tolerance: float
) -> None:
    result = judge(
        row("calm", 1, expect),
        predict=lambda frame: frame.with_columns(prediction=pl.lit(prediction)),
        tolerance=tolerance,
    )
    assert result.passed == (abs(prediction - expect) <= tolerance)


def test_flowers_of_a_real_classifier() -> None:
    class Flowers(tm.Contract, version="1.0.0", key=("length",)):
        length = tm.Float64(min=0)
        width = tm.Float64(min=0)
        species = tm.Enum(["setosa", "versicolor", "virginica"])

    spec = Flowers.reads("length", "width").contract
    data = datasets.load_iris()
    species = [str(data.target_names[at]) for at in data.target]
    tree = trees.DecisionTreeClassifier(max_depth=2, random_state=1).fit(data.data[:, 2:], species)
    artifact = replace(
        NUMBER,
        inputs=("length", "width"),
        classes=json.dumps([str(label) for label in tree.classes_]),
        label=column_as_json(spec, "species"),
    )
    predictor = ModelPredictor(tree.predict_proba, artifact)
    gate: Golden = tm.golden(
        [
            {"name": "small", "length": 1.4, "width": 0.2, "expect": "setosa"},
            {"name": "large", "length": 6.0, "width": 2.5, "expect": "versicolor"},
        ]
    )
    columns = {column.name: column for column in spec.columns}
    result = judge_golden(
        gate, gate.rows, artifact, columns, lambda rows: predictor.predict(rows.lazy()).collect()
    )
    assert result.evidence == "1 of 2 rows: large: 'virginica', expected 'versicolor'"
