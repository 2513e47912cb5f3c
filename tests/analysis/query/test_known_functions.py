"""The list of functions agrees with Polars."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pytest
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.query import known_functions as vocabulary


@pytest.mark.parametrize(
    "dtype", [pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.List(pl.Int8)]
)
def test_functions_take_selectors_as_they_are_said_to(dtype: Any) -> None:
    """Either all columns are operands of one function, or each column has a function of its own."""
    frame = pl.LazyFrame(schema={"a": dtype, "b": dtype})
    known = 0
    for name, kind in vocabulary._KINDS.items():
        family, _, member = name.rpartition(".")
        called = {family: member} if family else member
        tree = {"Function": {"input": [{"Selector": "Wildcard"}], "function": called}}
        try:
            chosen = pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")
            found = frame.select(chosen).collect_schema().names()
        except (PolarsError, PanicException):
            continue
        known += kind is not vocabulary.RowDependence.OTHER
        assert found == (["a"] if name in vocabulary.HORIZONTAL else ["a", "b"]), name
    assert known > 5
