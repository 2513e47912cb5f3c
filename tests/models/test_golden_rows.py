"""Golden rows hold extremes, nulls and all categories; predictions on them are compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.golden_rows import (
    MAX_ROWS,
    SPACED_ROWS,
    compare_predictions,
    find_golden_fault,
    golden_rows,
    split_predictions,
    with_predictions,
)
from tidemill.testing.records import model_artifact

ROWS = 20_000
RNG = np.random.default_rng(1)
TABLE = pl.DataFrame(
    {
        "x": RNG.normal(size=ROWS),
        "n": RNG.integers(-5, 500, ROWS),
        "word": RNG.choice([f"w{number}" for number in range(40)], ROWS),
        "flag": RNG.random(ROWS) < 0.001,
        "id": [f"id{number}" for number in range(ROWS)],
    }
).with_columns(
    x=pl.when(pl.int_range(pl.len()) == 11_111).then(None).otherwise("x"),
    n=pl.when(pl.int_range(pl.len()) == 12_345).then(None).otherwise("n"),
)


def test_extremes_nulls_and_all_categories_are_among_them() -> None:
    rows = golden_rows(TABLE.lazy(), ["x", "n", "word", "flag"])
    assert SPACED_ROWS <= rows.height <= SPACED_ROWS + 60
    for name in ("x", "n"):
        assert rows[name].null_count() == 1
        assert (rows[name].min(), rows[name].max()) == (TABLE[name].min(), TABLE[name].max())
    assert rows["word"].n_unique() == 40
    assert rows["flag"].n_unique() == 2
    assert golden_rows(TABLE.lazy(), ["x", "n", "word", "flag"]).equals(rows)


def test_their_number_is_limited() -> None:
    assert golden_rows(TABLE.lazy(), ["id", "word"]).height <= MAX_ROWS
    wide = pl.DataFrame(RNG.normal(size=(3_000, 400)))
    assert golden_rows(wide.lazy(), wide.columns).height <= MAX_ROWS


def test_special_numbers_are_among_them() -> None:
    odd = pl.DataFrame({"x": [0.0] * 5_000}).with_row_index("at")
    odd = odd.select(
        x=pl.when(pl.col("at") == 777)
        .then(math.inf)
        .when(pl.col("at") == 778)
        .then(-math.inf)
        .when(pl.col("at") == 779)
        .then(math.nan)
        .otherwise("x")
    )
    found = golden_rows(odd.lazy(), ["x"])["x"]
    assert found.is_nan().sum() == 1
    assert sorted(found.filter(found.is_infinite())) == [-math.inf, math.inf]


values = st.none() | st.integers(-3, 3)


@given(rows=st.lists(st.tuples(values, st.sampled_from(["a", "b", None])), max_size=30))
def test_few_rows_are_all_golden(rows: list[tuple[int | None, str | None]]) -> None:
    table = pl.DataFrame(rows, schema={"n": pl.Int64, "word": pl.String}, orient="row")
    assert golden_rows(table.lazy(), ["n", "word"]).equals(table)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("original", "loaded", "largest", "row"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0, None),
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], 1e-7, None),
        ([1.0, 2.0, 3.0], [1.0, 2.1, 4.0], 1.0, 1),
        # Large predictions may differ by more.
        ([1e9], [1e9 + 10], 10.0, None),
        ([1e-9], [2e-9], 1e-9, None),
        ([NAN, INF, -INF], [NAN, INF, -INF], 0.0, None),
        ([1.0, NAN], [1.0, 2.0], 0.0, 1),
        ([INF, 1.0], [-INF, 1.0], 0.0, 0),
        ([[0.5, 0.5], [0.1, 0.9]], [[0.5, 0.5], [0.9, 0.1]], 0.8, 1),
        ([], [], 0.0, None),
    ],
)
def test_predictions_are_compared(
    original: list[float], loaded: list[float], largest: float, row: int | None
) -> None:
    found = compare_predictions(np.array(original), np.array(loaded))
    assert found.largest == pytest.approx(largest)
    assert found.row == row


@pytest.mark.parametrize("predictions", [np.arange(3.0), np.arange(6.0).reshape(3, 2)])
def test_predictions_are_stored_with_the_rows(predictions: Any) -> None:
    rows = pl.DataFrame({"a": [1, 2, 3], "prediction": ["x", "y", "z"]})
    again, found = split_predictions(with_predictions(rows, predictions))
    assert again.equals(rows)
    assert np.array_equal(found, predictions)


def test_a_loaded_model_must_predict_golden_rows_as_in_training() -> None:
    artifact = replace(model_artifact(), inputs=("a", "b"))
    stored = with_predictions(
        pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]}), np.array([4.0, 7.0])
    )
    assert find_golden_fault(lambda rows: rows.sum(axis=1), artifact, stored) == ""
    found = find_golden_fault(lambda rows: rows[:, 0] + 3, artifact, stored)
    assert found == "it predicts 5.0 where it predicted 7.0 in training, for {'a': 2.0, 'b': 5.0}"
