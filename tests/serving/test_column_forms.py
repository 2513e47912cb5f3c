"""Columns are decoded without the checker where that is sure to give the same values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from types import GenericAlias
from typing import Any

import msgspec
import pytest

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.serving.column_forms import Undecided, column_form, nearest_single


def decode(column: Column, *values: Any) -> list[Any]:
    """Decode values; Undecided if the type or a check doesn't accept one."""
    form = column_form(replace(column, name="x"))
    kind = form.json_type
    assert kind is not None
    try:
        found = msgspec.json.decode(msgspec.json.encode(values), type=GenericAlias(list, (kind,)))
    except msgspec.ValidationError:
        raise Undecided from None
    return list(form.convert(found) if form.convert else found)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (tm.Int8(min=0, max_exclusive=23), [0, 22]),
        (tm.Int64(min_exclusive=0.5, max=2.5), [1, 2]),  # type: ignore[arg-type]
        (tm.UInt64(max=2**64 - 2), [0, 2**64 - 2]),
        (tm.Int128(min=-(2**100)), [-(2**100), 2**127 - 1]),
        (tm.Int64(isin=[1, 5], nullable=True), [1, None, 5]),
        (tm.Float64(min=-1, max=1.5), [-1.0, 1.5]),
        (tm.Float64(isin=[0.1, 2]), [0.1, 2.0]),
        (tm.Float64(null_values=["-999", "NA"]), [-998.0]),
        (tm.Bool(isin=[True]), [True]),
        (tm.Bool(nullable=True), [True, None]),
        (tm.String(min_length=2, max_length=3), ["öö", "abc"]),
        (tm.String(regex="^[a-z]+$", isin=["ab", "AB"]), ["ab"]),
        (tm.String(null_values=["NA"]), ["N"]),
        (tm.Enum(["a", "b"], isin=["b"], nullable=True), ["b", None]),
        (tm.Categorical(), ["", "x"]),
    ],
)
def test_values_within_the_rules_are_accepted(column: Column, values: list[Any]) -> None:
    assert decode(column, *values) == values


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (tm.Int8(), 128),
        (tm.Int8(), -129),
        (tm.Int64(), 2**63),
        (tm.UInt64(), 2**64),
        (tm.UInt8(), -1),
        (tm.Int64(min_exclusive=1), 1),
        (tm.Int64(max_exclusive=1), 1),
        (tm.Int64(isin=[1]), 2),
        (tm.Int64(), 1.5),
        (tm.Int64(), True),
        (tm.Float64(min_exclusive=0), 0.0),
        (tm.Float64(null_values=["-999", "NA"]), -999),
        (tm.Float64(), None),
        (tm.Float32(), 1e39),
        (tm.Float32(max_exclusive=0.1), 0.1),
        (tm.Float32(), 1.00000005960464477539),
        (tm.Bool(), 1),
        (tm.Bool(isin=[True]), False),
        (tm.String(), 1),
        (tm.String(regex="^[a-z]+$"), "A"),
        (tm.String(regex="^[a-z]+$"), "a" * 65),
        (tm.String(regex="a"), "äa"),
        (tm.String(null_values=["NA"]), "NA"),
        (tm.Enum(["a", "NA"], null_values=["NA"]), "NA"),
        (tm.Date(), "2013-02-30"),
        (tm.Date(), "2013-3-7"),
        (tm.Date(min=date(2013, 3, 7)), "2013-03-06"),
        (tm.Date(isin=[date(2013, 3, 7)]), "2013-03-06"),
        (tm.Datetime(), "2013-03-07T05:00:00Z"),
        (tm.Datetime("ms"), "2013-03-07T05:00:00.1234"),
        (tm.Datetime(time_zone="UTC"), "2013-03-07T05:00:00"),
        (tm.Time(), "24:00:00"),
    ],
)
def test_all_else_is_left_to_the_checker(column: Column, value: Any) -> None:
    with pytest.raises(Undecided):
        decode(column, value)


def test_times_are_read() -> None:
    assert decode(tm.Date(max=date(2013, 3, 7)), "2013-03-07") == [date(2013, 3, 7)]
    assert decode(tm.Datetime("ms"), "2013-03-07T05:00:00.5") == [
        datetime(2013, 3, 7, 5, 0, 0, 500_000)
    ]
    bounds = tm.Datetime(
        time_zone="America/New_York",
        min_exclusive=datetime(2013, 3, 7, tzinfo=UTC),
        max_exclusive=datetime(2013, 3, 8, tzinfo=UTC),
    )
    assert decode(bounds, "2013-03-07T05:00:00-05:00") == [datetime(2013, 3, 7, 10, tzinfo=UTC)]
    assert decode(tm.Time(nullable=True), "05:00:00.000001", None) == [time(5, 0, 0, 1), None]


def test_a_narrow_float_is_rounded() -> None:
    assert decode(tm.Float32(min=0, isin=[0.1, 2]), 0.1, 2) == [nearest_single(0.1), 2.0]


@pytest.mark.parametrize(
    "column",
    [
        tm.Date(format="%d.%m.%Y"),
        tm.Date(null_values=["2013-03-07"]),
        tm.Bool(null_values=["false"]),
        tm.String(regex=r"\p{L}"),
        tm.String(isin=["\ud800"]),
        tm.Enum(["NA"], null_values=["NA"]),
        tm.Enum(["a"], isin=["b"]),
        tm.Float64(min=2**53 + 1),
        tm.Float64(max=float("inf")),
        tm.Int64(min=float("-inf")),  # type: ignore[arg-type]
        tm.Int64(max=float("inf")),  # type: ignore[arg-type]
        tm.Datetime("ms", min=datetime(2013, 3, 7, 0, 0, 0, 1)),
        tm.Float16(),
        tm.Decimal(6, 2),
        tm.Binary(),
        tm.Duration(),
        tm.List(tm.Int64()),
    ],
)
def test_columns_that_only_the_checker_reads_have_no_type(column: Column) -> None:
    assert column_form(replace(column, name="x")).json_type is None


def test_many_values_with_a_pattern_are_left_to_polars() -> None:
    column = tm.String(regex="^[a-z]+$")
    assert len(decode(column, *["a"] * 2_000)) == 2_000
    with pytest.raises(Undecided):
        decode(column, *["a"] * 2_001)
