from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.contracts.checks.test_schema import TYPES
from tidemill.contracts.checks.casts import cast_column

DAY, NOON = date(2013, 3, 7), datetime(2013, 3, 7, 12)
NAN, INF = float("nan"), float("inf")

CASES: list[tuple[pl.DataType, list[Any], pl.DataType, list[Any]]] = [
    (pl.Int8(), [1, None], pl.Int64(), [1, None]),
    (pl.Int64(), [1, 300, None], pl.Int8(), [1, None, None]),
    (pl.Int64(), [1, 2**53 + 1], pl.Float64(), [1.0, None]),
    (pl.Int64(), [0, 1, 2], pl.Boolean(), [False, True, None]),
    (pl.Boolean(), [True, None], pl.Int8(), [1, None]),
    (pl.Boolean(), [True], pl.Decimal(3, 1), [None]),
    (pl.Float64(), [1.0, 1.5, NAN, INF, None], pl.Int64(), [1, None, None, None, None]),
    (pl.Float64(), [0.1, INF, 1e300], pl.Float32(), [0.10000000149011612, INF, None]),
    (pl.Float64(), [0.1, 0.25], pl.Decimal(5, 1), [Decimal("0.1"), None]),
    (
        pl.Float64(),
        [1000.0, -1e300, INF, -INF, 999.999, 999.99, 1.5, None],
        pl.Decimal(5, 2),
        [None, None, None, None, None, Decimal("999.99"), Decimal("1.5"), None],
    ),
    (pl.Float32(), [1e30, 1.5], pl.Decimal(38, 10), [None, Decimal("1.5")]),
    (pl.Int64(), [1000, 999], pl.Decimal(5, 2), [None, Decimal(999)]),
    (
        pl.Decimal(9, 4),
        [Decimal("1000.5"), Decimal("1.105")],
        pl.Decimal(5, 2),
        [None, None],
    ),
    (
        pl.String(),
        ["1.105", "1.100", "1000", "1e1"],
        pl.Decimal(5, 2),
        [None, Decimal("1.1"), None, 10],
    ),
    (
        pl.Decimal(5, 2),
        [Decimal("0.10"), Decimal("0.12")],
        pl.Decimal(5, 1),
        [Decimal("0.1"), None],
    ),
    (pl.Date(), [DAY], pl.Datetime("us"), [datetime(2013, 3, 7)]),
    (pl.Datetime("us"), [NOON, datetime(2013, 3, 7)], pl.Date(), [None, DAY]),
    (pl.Datetime("us"), [NOON, NOON.replace(microsecond=1)], pl.Datetime("ms"), [NOON, None]),
    (pl.Datetime("us"), [NOON], pl.Datetime("us", "UTC"), [None]),  # which zone was meant?
    (pl.Datetime("us", "UTC"), [NOON.replace(tzinfo=UTC)], pl.Datetime("us"), [None]),
    (pl.Datetime("us", "UTC"), [NOON.replace(tzinfo=UTC)], pl.Date(), [None]),
    (pl.Int64(), [1], pl.Date(), [None]),
    (pl.Date(), [DAY], pl.Int64(), [None]),
    (pl.Int64(), [1], pl.Duration("us"), [None]),
    (pl.Int64(), [1, 7], pl.Enum(["7"]), [None, "7"]),
    (pl.Date(), [DAY], pl.String(), ["2013-03-07"]),
    (pl.Binary(), [b"x"], pl.String(), [None]),
    (pl.Duration("us"), [timedelta(1)], pl.String(), [None]),
    (pl.List(pl.Int64), [[1]], pl.List(pl.Int8), [None]),
    (pl.List(pl.Int8), [[1]], pl.List(pl.Int64), [[1]]),
    (pl.List(pl.Int8), [[1]], pl.String(), [None]),
    (pl.Null(), [None], pl.Enum(["a"]), [None]),
    (pl.String(), ["1", " 1", "x", None], pl.Int64(), [1, None, None, None]),
    (pl.String(), ["1.50", "1e2", ""], pl.Float64(), [1.5, 100.0, None]),
    (pl.String(), ["true", "False", "yes"], pl.Boolean(), [True, False, None]),
    (pl.String(), ["a", "b"], pl.Enum(["b"]), [None, "b"]),
    (pl.Categorical(), ["a", "b"], pl.Enum(["b"]), [None, "b"]),
    (pl.Enum(["5", "b"]), ["5", "b"], pl.Int64(), [5, None]),  # the text, never the code
    (
        pl.String(),
        ["2013-03-07", "07/03/2013", "2013-03-07 12:00:00"],
        pl.Date(),
        [DAY, None, None],
    ),
    (
        pl.String(),
        ["2013-03-07T12:00:00", "2013-03-07 12:00:00.5", "2013-03-07T12:00:00Z"],
        pl.Datetime("ms"),
        [NOON, NOON.replace(microsecond=500_000), None],
    ),
    (
        pl.String(),
        ["2013-03-07T12:00:00Z", "2013-03-07 13:00:00+01:00", "2013-03-07T12:00:00"],
        pl.Datetime("us", "UTC"),
        [NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC), None],
    ),
    (pl.String(), ["12:30", "12:30:01", "25:00"], pl.Time(), [time(12, 30), time(12, 30, 1), None]),
    (pl.String(), ["1"], pl.Duration("us"), [None]),
    (pl.String(), ["1"], pl.List(pl.Int8), [None]),
]


@pytest.mark.parametrize(("source", "values", "target", "expected"), CASES)
def test_values_are_turned_when_they_stay_what_they_are(
    source: pl.DataType, values: list[Any], target: pl.DataType, expected: list[Any]
) -> None:
    _, fitted = cast_column(pl.Series("a", values, dtype=source), target)
    assert fitted.to_list() == expected
    assert (fitted.name, fitted.dtype) == ("a", target)


def test_a_column_of_the_right_type_is_the_same_column() -> None:
    series = pl.Series("a", [1.0, NAN])
    source, fitted = cast_column(series, pl.Float64())
    assert source is fitted is series


def test_nan_is_missing_where_it_can_not_be_kept() -> None:
    source, fitted = cast_column(pl.Series("a", [1.0, NAN]), pl.Int64())
    assert (source.to_list(), fitted.to_list()) == ([1.0, None], [1, None])


@pytest.mark.parametrize("target", TYPES, ids=str)
@pytest.mark.parametrize("source", TYPES, ids=str)
def test_every_pair_of_types_is_settled_without_rows(
    source: pl.DataType, target: pl.DataType
) -> None:
    _, fitted = cast_column(pl.Series("a", [], dtype=source), target)
    assert (fitted.dtype, fitted.len(), fitted.name) == (target, 0, "a")
