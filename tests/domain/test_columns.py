from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tidemill.domain import columns as tm
from tidemill.domain.column import Column
from tidemill.domain.dtype import DType
from tidemill.domain.errors import ContractError
from tidemill.domain.partition import Grain


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (tm.Int8(), "Int8"),
        (tm.Int16(), "Int16"),
        (tm.Int32(), "Int32"),
        (tm.Int64(), "Int64"),
        (tm.UInt8(), "UInt8"),
        (tm.UInt16(), "UInt16"),
        (tm.UInt32(), "UInt32"),
        (tm.UInt64(), "UInt64"),
        (tm.Float32(), "Float32"),
        (tm.Float64(), "Float64"),
        (tm.Decimal(10, 2), "Decimal(10, 2)"),
        (tm.Bool(), "Boolean"),
        (tm.String(), "String"),
        (tm.Binary(), "Binary"),
        (tm.Enum(["b", "a"]), "Enum('b', 'a')"),
        (tm.Categorical(), "Categorical"),
        (tm.Date(), "Date"),
        (tm.Datetime(), "Datetime('us', None)"),
        (tm.Datetime("ms", "UTC"), "Datetime('ms', 'UTC')"),
        (tm.Time(), "Time"),
        (tm.Duration("ns"), "Duration('ns')"),
        (tm.List(tm.List(tm.Int8())), "List(List(Int8))"),
    ],
)
def test_every_function_makes_a_column_of_its_type(column: Column, dtype: str) -> None:
    assert str(column.dtype) == dtype
    assert column == Column(dtype=column.dtype)


def test_a_column_keeps_what_it_was_told() -> None:
    column = tm.Int64(
        min=1,
        max=9,
        nullable=True,
        isin=[3, 4],
        on_fail="warn",
        unit="mile",
        description="how far",
        role="feature",
    )
    assert column == Column(
        dtype=DType("Int64"),
        min=1,
        max=9,
        nullable=True,
        isin=(3, 4),
        on_fail="warn",
        unit="mile",
        description="how far",
        role="feature",
    )


def test_bounds_and_regex_are_those_of_the_type() -> None:
    assert tm.Date(min=date(2013, 1, 1)).min == date(2013, 1, 1)
    assert tm.Datetime(max=datetime(2013, 1, 1, tzinfo=UTC)).max == datetime(2013, 1, 1, tzinfo=UTC)
    assert tm.String(regex="^a").regex == "^a"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("1h", Grain.HOUR),
        ("1d", Grain.DAY),
        ("1w", Grain.WEEK),
        ("1mo", Grain.MONTH),
        ("value", "value"),
    ],
)
def test_partition_is_a_grain_or_by_value(text: str, cut: object) -> None:
    assert tm.Datetime(partition=text).partition == cut


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tm.Int64(partition="2d"), "partition '2d' is not one of 1h, 1d, 1w, 1mo or 'val"),
        (lambda: tm.Int64(isin=3), "isin=3 must be a list"),  # type: ignore[arg-type]
        (lambda: tm.String(isin="abc"), "isin='abc' must be a list"),
        (lambda: tm.Enum("abc"), "must be given a list"),
        (lambda: tm.Int64(nulable=True), "did you mean 'nullable'"),  # type: ignore[call-arg]
        (lambda: tm.Bool(min=1), r"Boolean\(min=...\)"),  # type: ignore[call-arg]
        (lambda: tm.Datetime("UTC"), r"Datetime\(time_zone='UTC'\)"),  # type: ignore[arg-type]
        (lambda: tm.Duration("s"), "unit of time 's'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_is_refused_where_it_is_written(
    make: Callable[[], Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        make()
