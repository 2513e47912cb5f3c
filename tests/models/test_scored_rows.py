from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.scored_rows import binary_rows, scored_rows


def labels(values: Any, dtype: Any = None, **options: Any) -> tuple[list[float], str]:
    predictions = pl.Series([0.5] * len(values), dtype=pl.Float64)
    frame = pl.DataFrame({"y": pl.Series(values, dtype=dtype), "prediction": predictions})
    rows = scored_rows(frame, "y", "roc", **options)
    return rows.frame["_label"].to_list(), rows.positive


@pytest.mark.parametrize(
    ("values", "dtype", "options", "found"),
    [
        ([True, False], None, {}, ([1, 0], "True")),
        ([1, 0, 1], None, {}, ([1, 0, 1], "1")),
        ([0.0, 1.0], None, {}, ([0, 1], "1")),
        # Other numbers aren't classes.
        ([2, 5, 1], None, {}, ([2, 5, 1], "")),
        ([2, 5, 1], None, {"positive": 5}, ([0, 1, 0], "5")),
        (["no", "yes", "yes"], None, {}, ([0, 1, 1], "yes")),
        (["b", "a"], pl.Enum(["b", "a"]), {}, ([1, 0], "b")),
        (["a", "b", "c"], None, {"positive": "c"}, ([0, 0, 1], "c")),
        ([True, False], None, {"positive": True}, ([1, 0], "True")),
        ([], pl.String, {}, ([], "")),
    ],
)
def test_labels_become_numbers(values: Any, dtype: Any, options: Any, found: Any) -> None:
    assert labels(values, dtype, **options) == found


def test_the_probability_of_a_class_is_used_if_there_is_one() -> None:
    frame = pl.DataFrame(
        {"y": ["a", "b", "c"], "prediction": ["a", "b", "b"], "probability_b": [0.1, 0.8, 0.6]}
    )
    rows = scored_rows(frame.lazy(), "y", "roc", positive="b")
    assert rows.frame["_predicted"].to_list() == [0.1, 0.8, 0.6]


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    frame = pl.DataFrame(
        {
            "y": [1.0, None, 1.0, 0.0, 0.0],
            "prediction": [0.1, 0.2, math.nan, None, 0.3],
            "day": [date(2026, 1, 1)] * 5,
            "at": [datetime(2026, 1, 1, 9)] * 4 + [None],
            "by": ["a", "b", None, "d", "e"],
        }
    )
    rows = scored_rows(frame, "y", "x", day="day", by="by")
    assert (rows.frame.height, rows.left_out) == (2, 3)
    assert rows.frame["_day"].to_list() == ["2026-01-01"] * 2
    assert scored_rows(frame, "y", "x", day="at").frame["_day"].to_list() == ["2026-01-01"]


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"z": [1]}, {}, "needs the column 'y'"),
        ({"y": [1]}, {}, "needs the column 'prediction'"),
        ({"y": [1], "prediction": [1.0]}, {"day": "dat"}, "needs the column 'dat'"),
        (
            {"y": [1], "prediction": [1.0], "tags": [["a"]]},
            {"by": "tags"},
            r"by='tags'\): the column is List\(String\); take one of text, numbers",
        ),
        (
            {"y": [True, False], "prediction": [1.0, 0.0]},
            {"positive": False},
            "the probability of the greatest class of 'y', True, not of positive=False",
        ),
        ({"y": [1], "prediction": [1.0], "b": [b"a"]}, {"by": "b"}, r"the column is Binary"),
        ({"y": [1], "prediction": ["a"]}, {}, "needs numbers in 'prediction', which is String"),
        ({"y": [date(2026, 1, 1)], "prediction": [1.0]}, {}, "'y' is Date"),
        (
            {"y": ["a", "b", "c", "d"], "prediction": [1.0] * 4},
            {},
            "has 'a', 'b', 'c', ...: positive",
        ),
        ({"y": ["a"], "prediction": [1.0]}, {}, "has 'a': positive"),
        (
            {"y": [1], "prediction": [1.0]},
            {"positive": "a"},
            "has no value like positive='a'",
        ),
        ({"y": ["a"], "prediction": [1.0]}, {"positive": 1}, "'y' is String"),
        ({"y": [True], "prediction": [1.0]}, {"positive": 1}, "'y' is Boolean"),
    ],
)
def test_what_cannot_be_read_is_refused(frame: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scored_rows(pl.DataFrame(frame), "y", "roc", **options)
    with pytest.raises(UsageError, match="takes a Polars frame, not dict"):
        scored_rows(frame, "y", "roc", **options)


def test_two_classes_are_needed() -> None:
    def frame(*values: Any) -> pl.DataFrame:
        return pl.DataFrame({"y": values, "prediction": [0.5] * len(values)})

    assert binary_rows(frame(1, 0), "y", "roc").is_binary
    with pytest.raises(UsageError, match="all rows are 'True' in 'y'"):
        binary_rows(frame(True, True), "y", "roc")
    with pytest.raises(UsageError, match="no row is '1' in 'y'"):
        binary_rows(frame(0, 0), "y", "roc")
    with pytest.raises(UsageError, match="other numbers than 0 and 1"):
        binary_rows(frame(3, 4), "y", "roc")
