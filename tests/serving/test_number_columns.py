"""Columns of numbers are checked as one array."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.serving.number_columns import NumberColumns, are_number_columns

NAN, INF = float("nan"), float("inf")


def accepts(column: Column, *values: float, nan_is_null: bool = False) -> bool:
    numbers = NumberColumns([replace(column, name="x")])
    return numbers.accept(np.array([values]), nan_is_null=nan_is_null)


@pytest.mark.parametrize(
    ("column", "value", "accepted"),
    [
        (tm.Float64(), INF, True),
        (tm.Float64(), NAN, False),
        (tm.Float64(nullable=True), NAN, True),
        (tm.Float64(min=0.5), 0.5, True),
        (tm.Float64(min_exclusive=0.5), 0.5, False),
        (tm.Float64(max=0.5), 0.5, True),
        (tm.Float64(max_exclusive=0.5), 0.5, False),
        (tm.Int8(), 128, False),
        (tm.Int8(), -128, True),
        (tm.UInt8(), -1, False),
        (tm.UInt8(), 255, True),
        (tm.UInt8(), 256, False),
        (tm.Int64(), 1.5, False),
        (tm.Int64(), 2.0**53, False),
        (tm.Int64(), 2.0**53 - 1, True),
        (tm.Int64(min=3), 2, False),
        (tm.Int64(min_exclusive=3), 3, False),
        (tm.Int64(nullable=True), NAN, False),
        (tm.Bool(), 1, True),
        (tm.Bool(), 2, False),
        (tm.Bool(), 0.5, False),
    ],
)
def test_values_within_the_rules_are_accepted(column: Column, value: float, accepted: bool) -> None:
    assert accepts(column, value) is accepted


def test_nan_may_stand_for_null() -> None:
    assert accepts(tm.Int64(nullable=True), NAN, 1, nan_is_null=True)
    assert not accepts(tm.Int64(), NAN, nan_is_null=True)


@pytest.mark.parametrize(
    ("column", "checked"),
    [
        (tm.Float64(), True),
        (tm.Float32(min=1), True),
        (tm.Float32(min_exclusive=1), False),
        (tm.Int128(), True),
        (tm.Bool(), True),
        (tm.Float64(isin=[1]), False),
        (tm.Float64(null_values=["-1"]), False),
        (tm.Float64(max=INF), False),
        (tm.Decimal(4, 2), False),
        (tm.String(), False),
    ],
)
def test_some_columns_cant_be_checked_as_numbers(column: Column, checked: bool) -> None:
    assert are_number_columns([column]) is checked


def test_without_columns_there_is_nothing_to_check() -> None:
    assert not are_number_columns([])
