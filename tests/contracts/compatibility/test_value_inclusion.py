from __future__ import annotations

from datetime import date

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.value_inclusion import breakable_terms, is_integer
from tidemill.contracts.dtype import DType


# What is wanted, what is given, and the terms that values may break.
@pytest.mark.parametrize(
    ("wanted", "given", "broken"),
    [
        (tm.Int8(min=0), tm.Int8(min=0), []),
        (tm.Int8(min=0, max=9), tm.Int8(), ["min", "max"]),
        # For integers, > 0 is the same as >= 1.
        (tm.Int8(min=1), tm.Int8(min_exclusive=0), []),
        (tm.Float64(min=1), tm.Float64(min_exclusive=0), ["min"]),
        (tm.Float64(min_exclusive=0), tm.Float64(min=0), ["min"]),
        # The type alone bounds the values.
        (tm.Int16(min=-128, max=127), tm.Int8(), []),
        (tm.Int16(min=0), tm.UInt8(), []),
        (tm.Date(min=date(2026, 1, 2)), tm.Date(min_exclusive=date(2026, 1, 1)), []),
        # 0.1 is rounded to the precision of the column that is compared.
        (tm.Float32(min=0.1), tm.Float32(min=0.1), []),
        (tm.Float64(min=float("-inf")), tm.Float64(), []),
        (tm.String(min_length=1), tm.String(min_length=2), []),
        (tm.String(max_length=3), tm.String(), ["max_length"]),
        (tm.String(regex="^a$"), tm.String(regex="^(a)$"), ["regex"]),
        (tm.String(isin=["a", "b"]), tm.Enum(["a"]), []),
        (tm.String(isin=["a"]), tm.Enum(["a", "b"]), ["isin"]),
        (tm.String(max_length=1), tm.Enum(["a", "bc"]), ["max_length"]),
        (tm.Bool(isin=[True]), tm.Bool(), ["isin"]),
        (tm.Int64(isin=[1, 2, 3]), tm.Int64(min=1, max=3), []),
        (tm.Int64(isin=[1, 2]), tm.Int64(min=1, max=3), ["isin"]),
    ],
)
def test_terms_that_values_may_break(wanted: Column, given: Column, broken: list[str]) -> None:
    assert list(breakable_terms(wanted, given)) == broken


@pytest.mark.parametrize(
    ("name", "whole"), [("Int8", True), ("UInt64", True), ("Float64", False), ("Decimal", False)]
)
def test_integers(name: str, whole: bool) -> None:
    assert is_integer(DType(name)) is whole
