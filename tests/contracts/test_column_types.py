from __future__ import annotations

import decimal
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.text_format import AS_STORED, TextFormat
from tidemill.core.errors import ContractError
from tidemill.core.partition import Grain


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (tm.Int8(), "Int8"),
        (tm.Int16(), "Int16"),
        (tm.Int32(), "Int32"),
        (tm.Int64(), "Int64"),
        (tm.Int128(), "Int128"),
        (tm.UInt8(), "UInt8"),
        (tm.UInt16(), "UInt16"),
        (tm.UInt32(), "UInt32"),
        (tm.UInt64(), "UInt64"),
        (tm.UInt128(), "UInt128"),
        (tm.Float16(), "Float16"),
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
        (tm.List(tm.Int8(nullable=True)), "List(Int8)"),
        (tm.Array(tm.Float32(), 3), "Array(Float32, 3)"),
        (tm.Struct({"a": tm.Int8(), "b": tm.Date()}), "Struct('a', Int8, 'b', Date)"),
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
        min_exclusive=0,
        max_exclusive=10,
        unique=True,
        optional=True,
        default=5,
        pii="none",
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
        min_exclusive=0,
        max_exclusive=10,
        unique=True,
        optional=True,
        default=5,
        pii="none",
    )


def test_bounds_and_regex_are_those_of_the_type() -> None:
    assert tm.Date(min=date(2013, 1, 1)).min == date(2013, 1, 1)
    assert tm.Datetime(max=datetime(2013, 1, 1, tzinfo=UTC)).max == datetime(2013, 1, 1, tzinfo=UTC)
    assert tm.String(regex="^a").regex == "^a"
    assert tm.Decimal(9, 2, min=decimal.Decimal("0.01"), max=9).min == decimal.Decimal("0.01")
    assert tm.Binary(min_length=1, max_length=16).max_length == 16
    assert tm.List(tm.Int8(), min_length=1).min_length == 1


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
        (lambda: tm.Enum("abc"), "needs a list of its categories"),
        (lambda: tm.Int64(nulable=True), "did you mean 'nullable'"),  # type: ignore[call-arg]
        (lambda: tm.Bool(min=1), r"Boolean\(min=...\)"),  # type: ignore[call-arg]
        (lambda: tm.String(min=1), r"String\(min=...\): .*max_length, min_length"),  # type: ignore[call-arg]
        (lambda: tm.List(tm.Int8(min=1)), "its inner column sets min, which isn't checked"),
        (lambda: tm.Array(tm.Int8(isin=[1], unit="m"), 2), "sets isin, unit, which isn't"),
        (lambda: tm.Struct({"a": tm.String(regex="x")}), "Struct: field 'a' sets regex"),
        (lambda: tm.List(tm.Int8), "is <function Int8.*, not a column such as"),  # type: ignore[arg-type]
        (lambda: tm.Struct({}), "needs its fields, such as"),
        (lambda: tm.Struct([tm.Int8()]), "needs its fields, such as"),  # type: ignore[arg-type]
        (lambda: tm.Array(tm.Int8(), -1), r"Array\(width=-1\)"),
        (lambda: tm.Array(tm.Int8(), True), r"Array\(width=True\)"),
        (lambda: tm.Datetime("UTC"), r"Datetime\(time_zone='UTC'\)"),  # type: ignore[arg-type]
        (lambda: tm.Duration("s"), "time unit 's'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_is_refused_where_it_is_written(
    make: Callable[[], Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        make()


def test_how_a_column_is_read_is_part_of_it() -> None:
    column = tm.Datetime(source="When", format=["%d.%m.%Y %H:%M:%S.%f", "%Y"], null_values="-")
    assert column.source == "When"
    assert column.text == TextFormat(formats=("%d.%m.%Y %H:%M:%S%.f", "%Y"), null_values=("-",))
    assert tm.Bool(true_values="ja").text.true_values == ("ja",)
    assert tm.Float64(decimal_comma=True, thousands=".").text.decimal_comma
    assert tm.Int64().text is AS_STORED


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tm.Int64(source=1), "source=1 is not the name of a column in files"),  # type: ignore[arg-type]
        (lambda: tm.Date(format=1), "format=1 is not text or a list of texts"),  # type: ignore[arg-type]
        (lambda: tm.String(format="%Y"), "String(format=...): unknown argument"),  # type: ignore[call-arg]
    ],
)
def test_what_is_said_wrongly_about_text_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ContractError, match=says.replace("(", r"\(").replace(")", r"\)")):
        make()
