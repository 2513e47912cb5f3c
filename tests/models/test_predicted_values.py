"""The profile of what an evaluation predicted."""

from __future__ import annotations

import math

import polars as pl
import pytest

from tidemill.models.predicted_values import prediction_profile


def test_numbers_have_a_histogram_and_classes_their_rows() -> None:
    numbers = prediction_profile(pl.DataFrame({"prediction": [1.0, 3.0, None, math.nan]}))
    assert numbers is not None
    assert (numbers.rows, numbers.mean, numbers.categories) == (2, 2.0, None)
    assert numbers.histogram is not None
    classes = prediction_profile(pl.DataFrame({"prediction": ["late", "on time", "late", None]}))
    assert classes is not None
    assert classes.categories is not None
    assert (classes.rows, classes.categories.counts) == (3, {"late": 2, "on time": 1})


@pytest.mark.parametrize("column", [{"y": [1.0]}, {"prediction": [[1.0]]}, {"prediction": [None]}])
def test_what_has_no_shares_has_no_profile(column: dict[str, list[object]]) -> None:
    assert prediction_profile(pl.DataFrame(column)) is None
