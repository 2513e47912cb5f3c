"""The order of predictions: what a pair of rows says, counted out."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.ranks import area_under_roc, mean_precision
from tidemill.models.scored_columns import binary_columns

rows = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans(), st.integers(0, 3)),
    min_size=2, max_size=12,
).filter(lambda found: len({label for _, label, weight in found if weight}) == 2)  # fmt: skip


@given(rows)
def test_the_area_is_the_chance_that_a_positive_ranks_above_a_negative(
    found: list[tuple[float, bool, int]],
) -> None:
    won = whole = 0.0
    for (p, is_positive, w), (q, other, v) in product(found, found):
        if is_positive and not other:
            whole += w * v
            won += w * v * (1.0 if p > q else 0.5 if p == q else 0.0)
    frame = pl.DataFrame(found, schema=["prediction", "y", "w"], orient="row")
    columns = binary_columns("y", "prediction", "w")
    assert frame.select(area_under_roc(columns)).item() == pytest.approx(won / whole)


@given(rows)
def test_precision_is_that_from_the_prediction_on(found: list[tuple[float, bool, int]]) -> None:
    mean = whole = 0.0
    for p, is_positive, w in found:
        if is_positive and w:
            above = [(each, v) for q, each, v in found if q >= p]
            mean += w * sum(v for each, v in above if each) / sum(v for _, v in above)
            whole += w
    frame = pl.DataFrame(found, schema=["prediction", "y", "w"], orient="row")
    columns = binary_columns("y", "prediction", "w")
    assert frame.select(mean_precision(columns)).item() == pytest.approx(mean / whole)
