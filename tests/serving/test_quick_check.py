"""Rows of computed features are accepted at once only if the checker of their contract accepts them."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError
from polars.testing import assert_frame_equal

import tidemill as tm
from tests.support.contracts import declare
from tests.support.requests import VALUES, contracts
from tests.support.thoroughness import examples, thorough
from tidemill.contracts.checks.schema import polars_type
from tidemill.serving.quick_check import QuickCheck
from tidemill.serving.row_check import RowCheck

_ODD = st.sampled_from([math.nan, math.inf, -math.inf, -0.0])


def typed(name: str, value: Any, dtype: pl.DataType) -> pl.Series:
    """A value as a series of a type; null if it has none in it."""
    try:
        return pl.Series(name, [value], strict=False).cast(dtype, strict=False)
    except PolarsError:
        return pl.Series(name, [None], dtype)


@thorough
@given(st.data())
@settings(max_examples=examples(100, 500), deadline=None)
def test_only_rows_that_the_checker_accepts_are_accepted(data: st.DataObject) -> None:
    spec = data.draw(contracts())
    count = data.draw(st.integers(1, 3))
    frame = pl.DataFrame(
        [
            pl.concat(
                typed(column.name, data.draw(VALUES | _ODD), polars_type(column.dtype))
                for _ in range(count)
            )
            for column in spec.columns
        ]
    )
    accepted = QuickCheck(spec, spec.names).accept(frame)
    if accepted is None:
        return
    check = RowCheck(spec, spec.names)
    exact = check.check(frame, lambda row, name: frame[row, name], partial=False, shown=9).rows
    assert_frame_equal(accepted.frame, exact.frame)
    assert [list(values) for values in accepted.columns] == [list(v) for v in exact.columns]


SPEC = declare(
    {
        "day": tm.Date(),
        "kind": tm.Enum(["a", "b"]),
        "x": tm.Float64(min=0, nullable=True),
        "n": tm.Int64(max=9),
        "rule": tm.rule(pl.col("n") > 1),
    }
)
ROW: dict[str, Any] = {"day": date(2024, 1, 1), "kind": "a", "x": 0.1, "n": 3}


def frame_of(**changed: Any) -> pl.DataFrame:
    types = {column.name: polars_type(column.dtype) for column in SPEC.columns}
    return pl.DataFrame([{**ROW, **changed}], schema=types)


@pytest.mark.parametrize("changed", [{}, {"x": None}, {"x": 1e308}, {"n": 9}])
def test_a_good_row_is_accepted_as_it_is(changed: dict[str, Any]) -> None:
    frame = frame_of(**changed)
    found = QuickCheck(SPEC, SPEC.names).accept(frame)
    assert found is not None
    assert found.columns == tuple((value,) for value in frame.row(0))


@pytest.mark.parametrize(
    "changed", [{"x": -0.1}, {"x": math.nan}, {"x": math.inf}, {"n": 10}, {"n": 1}, {"day": None}]
)
def test_other_rows_are_left_to_the_checker(changed: dict[str, Any]) -> None:
    assert QuickCheck(SPEC, SPEC.names).accept(frame_of(**changed)) is None


def test_rows_are_accepted_together_or_not_at_all() -> None:
    good, bad = frame_of(), frame_of(x=-1.0)
    found = QuickCheck(SPEC, SPEC.names).accept(pl.concat([good, good]))
    assert found is not None
    assert found.columns == tuple((value, value) for value in good.row(0))
    assert QuickCheck(SPEC, SPEC.names).accept(pl.concat([good, bad])) is None
    assert QuickCheck(SPEC, SPEC.names).accept(good.clear()) is None


def test_other_types_are_left_to_the_checker() -> None:
    frame = frame_of().with_columns(pl.col("n").cast(pl.Int32))
    assert QuickCheck(SPEC, SPEC.names).accept(frame) is None
    assert (
        QuickCheck(declare({"at": tm.Time()}), ["at"]).accept(pl.DataFrame({"at": [None]})) is None
    )
