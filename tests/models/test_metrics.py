"""Metrics overall and by slice; what isn't a number is NaN, which every gate refuses."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.curves import roc
from tidemill.models.metric import Metric
from tidemill.models.metrics import scores
from tidemill.models.standard_metrics import accuracy, auc, mae, ndcg, precision, r2
from tidemill.workflow.gate import Scores, Slice

MAE = (pl.col("prediction") - pl.col("y")).abs().mean()


def scored(**more: object) -> pl.LazyFrame:
    """Four scored rows of two carriers and of none."""
    rows = {
        "prediction": [1.0, 2.0, 3.0, 5.0],
        "y": [1.0, 4.0, 3.0, 4.0],
        "carrier": ["UA", "UA", "B6", None],
    }
    return pl.LazyFrame({**rows, **more})


def test_overall() -> None:
    found = scores(scored(), mae=MAE, rows_=pl.len())
    assert replace(found, predictions=None) == Scores(rows=4, metrics={"mae": 0.75, "rows_": 4.0})


def test_predictions_are_kept_to_be_compared_with_what_is_served() -> None:
    # No metric reads them.
    found = scores(scored(), rows_=pl.len()).predictions
    assert found is not None
    assert (found.rows, found.mean) == (4, 2.75)
    assert scores(scored().drop("prediction"), rows_=pl.len()).predictions is None


def test_by_slice_in_the_order_of_its_values() -> None:
    found = scores(scored(), by="carrier", mae=MAE)
    assert (found.rows, found.metrics, found.by) == (4, {"mae": 0.75}, "carrier")
    assert found.slices == (
        Slice(value="None", rows=1, metrics={"mae": 1.0}),
        Slice(value="B6", rows=1, metrics={"mae": 0.0}),
        Slice(value="UA", rows=2, metrics={"mae": 1.0}),
    )


def test_a_slice_may_be_a_number() -> None:
    found = scores(scored(hour=[10, 9, 9, 9]), by="hour", mae=MAE)
    assert [(part.value, part.rows) for part in found.slices] == [("10", 1), ("9", 3)]


def test_no_rows_and_no_predictions_are_nan() -> None:
    none = scores(scored().filter(False), by="carrier", mae=MAE)
    assert (none.rows, math.isnan(none.metrics["mae"]), none.slices) == (0, True, ())
    unknown = scores(scored().with_columns(prediction=pl.lit(None, pl.Float64)), mae=MAE)
    assert (unknown.rows, math.isnan(unknown.metrics["mae"])) == (4, True)


def test_a_metric_may_choose_its_column_by_a_pattern() -> None:
    assert scores(scored(), mean=pl.col("^pred.*$").mean()).metrics == {"mean": 2.75}


@pytest.mark.parametrize("option", ["by", "day"])
def test_a_group_that_is_ranked_is_not_cut_apart(option: str) -> None:
    rows = scored(query=[1, 1, 2, 2], shop=["a", "a", "b", "b"], half=["x", "x", "x", "y"])
    ranked = ndcg("y", group="query", k=2)

    def cut(column: str) -> Scores:
        return scores(rows, ranked, **{"by": None, "day": None, option: column})  # type: ignore[arg-type]

    whole = scores(rows, ranked).metrics["ndcg"]
    found = cut("shop").metrics["ndcg"]
    assert found == whole
    assert cut("query").metrics["ndcg"] == whole
    with pytest.raises(UsageError) as caught:
        cut("half")
    assert str(caught.value).startswith(
        f"ndcg ranks the rows of each 'query', but 2 has rows of several values of {option}='half' (x, y)"
    )


def test_a_slice_is_scored_by_what_it_is_split_by() -> None:
    found = scores(scored(hour=[9, 9, 10, 10]), by="hour", hour=pl.col("hour").mean())
    assert [(part.value, part.metrics) for part in found.slices] == [
        ("10", {"hour": 10.0}), ("9", {"hour": 9.0}),
    ]  # fmt: skip


CLASSES = {"kind": ["a", "b", "a", "b"], "sure": [1, 0, 1, 0]}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([precision("sure"), precision("sure", threshold=0.7)],
         "scores() has two metrics of the name 'precision': pass one of them by another name, such as "
         "other_precision=..."),
        ([mae("w")], "scores(): a metric reads 'w', which isn't there (there is: "),
        ([auc("sure", prediction="kind")],
         "scores(): a metric takes numbers: conversion from `str` to `f64` failed in column 'kind'"),
        ([auc("kind")], "name the class of a text label, positive='...'"),
        ([mae("y"), roc("kind")], "scores(): a metric takes numbers: conversion from `str`"),
    ],
)  # fmt: skip
def test_metrics_of_other_rows_are_refused(metrics: list[Metric], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        scores(scored(**CLASSES), *metrics)


def test_other_faults_of_an_expression_are_those_of_polars() -> None:
    fault = pl.col("kind").cast(pl.Float32).mean()
    with pytest.raises(pl.exceptions.InvalidOperationError, match="to `f32` failed"):
        scores(scored(**CLASSES), odd=fault)


def test_a_metric_is_needed() -> None:
    with pytest.raises(UsageError, match=r"scores\(\) needs a metric: mae="):
        scores(scored())


@pytest.mark.parametrize("option", ["by", "day"])
def test_columns_that_the_rows_lack_are_named(option: str) -> None:
    named: Any = {option: "carier"}
    with pytest.raises(UsageError, match=rf"scores\({option}='carier'\): there is no such column"):
        scores(scored(), **named, mae=MAE)


@pytest.mark.parametrize("by", [None, "carrier"])
def test_a_metric_is_an_aggregate(by: str | None) -> None:
    with pytest.raises(UsageError, match="one of mae, bias has a value per row"):
        scores(scored(), by=by, mae=MAE, bias=pl.col("prediction") - pl.col("y"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pl.lit("1.5"), "scores(): odd is '1.5' (String); a metric must be one number"),
        (pl.col("y").implode(), "(List("),
        (pl.lit(timedelta(1)), "(Duration("),
        (3.0, "scores() takes metrics, such as tm.metrics.mae('y') or mae="),
        (mae, "not odd=<function mae"),
    ],
)
def test_a_metric_is_a_number(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        scores(scored(), odd=value)


def test_a_metric_without_a_name_is_one_of_the_library() -> None:
    unnamed: Any = MAE
    with pytest.raises(UsageError, match=r"scores\(\) takes metrics, .* not "):
        scores(scored(), unnamed)


ODD = {
    "list": pl.Series([[1], [2], [1], [2]]),
    "struct": pl.Series([{"a": 1}] * 4),
    "binary": pl.Series([b"\xff"] * 4),
    "object": pl.Series([object()] * 4, dtype=pl.Object),
    "enum": pl.Series(["a", "b"] * 2, dtype=pl.Enum(["a", "b"])),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("metric", [mae, auc, r2, accuracy, roc])
def test_labels_that_are_no_numbers_are_refused(kind: str, metric: Any) -> None:
    with pytest.raises(UsageError, match=r"scores\(\): .*(takes numbers|single values)"):
        scores(scored(odd=ODD[kind]), metric("odd"), rmse=MAE)


@pytest.mark.parametrize("kind", ["list", "struct", "binary", "object"])
@pytest.mark.parametrize("option", ["by", "day"])
def test_slices_and_days_have_names(kind: str, option: str) -> None:
    with pytest.raises(UsageError, match=rf"scores\({option}='odd'\): the column is "):
        scores(scored(odd=ODD[kind]), mae("y"), **{option: "odd"})  # type: ignore[arg-type]


def test_nulls_are_a_slice_beside_the_text_none() -> None:
    found = scores(scored(kind=["None", None, "(None)", "a"]), mae=MAE, by="kind").slices
    assert sorted(each.value for each in found) == ["((None))", "(None)", "None", "a"]
    assert {each.value: each.metrics["mae"] for each in found}["((None))"] == scores(
        scored().slice(1, 1), mae=MAE
    ).metrics["mae"]
