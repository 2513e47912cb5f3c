"""Values of any type as text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tidemill.console.table_window import chosen_columns, column_texts, table_window


@pytest.mark.parametrize(
    ("values", "dtype", "texts"),
    [
        ([None, "", "a\nb"], pl.String, [None, "", "a\nb"]),
        (["x" * 1_001], pl.String, ["x" * 1_000 + "... (1,001 characters)"]),
        ([1.0, float("nan"), 1e300], pl.Float64, ["1.0", "nan", "1e+300"]),
        ([True, None], pl.Boolean, ["true", None]),
        ([Decimal("1.50")], pl.Decimal(9, 2), ["1.50"]),
        ([b"\x00\xff", b"\x01" * 65], pl.Binary, ["00 ff", "01 " * 63 + "01 ... (65 bytes)"]),
        ([[1, None], None], pl.List(pl.Int64), ["[1, null]", None]),
        ([{"a": b"\x01", "d": date(2024, 1, 2)}], None, ['{"a": "01", "d": "2024-01-02"}']),
        ([date(2024, 1, 2)], pl.Date, ["2024-01-02"]),
        ([time(1, 2, 3)], pl.Time, ["01:02:03"]),
        ([timedelta(days=3, seconds=4)], pl.Duration, ["3 days, 0:00:04"]),
        ([datetime(2024, 1, 2, 3, 4, 5, 600)], pl.Datetime, ["2024-01-02 03:04:05.000600"]),
        (
            [datetime(2024, 1, 2, tzinfo=UTC)],
            pl.Datetime("us", "Asia/Kolkata"),
            ["2024-01-02 05:30:00+05:30"],
        ),
    ],
)
def test_values(values: list[Any], dtype: Any, texts: list[str | None]) -> None:
    assert column_texts(pl.Series(values, dtype=dtype)) == texts


def test_times_beyond_the_calendar() -> None:
    far = pl.Series([3_000_000], dtype=pl.Int32).cast(pl.Date)
    assert column_texts(far) == ["+10183-09-21"]
    assert column_texts(far.implode()) == ["(a time beyond the calendar)"]


def test_types_are_written_as_in_contracts() -> None:
    schema = {
        "at": pl.Datetime("us", "Asia/Kolkata"),
        "took": pl.Duration("ms"),
        "price": pl.Decimal(10, 2),
        "kind": pl.Enum(["a", "b"]),
        "days": pl.List(pl.Datetime("us")),
    }
    found = table_window(pl.DataFrame(schema=schema), numbers=[])
    types = [column.type for column in found.columns]
    assert types == [
        *("Datetime('us', 'Asia/Kolkata')", "Duration('ms')", "Decimal(10, 2)", "Enum"),
        "List(Datetime('us', None))",
    ]


def test_some_columns() -> None:
    names = [f"c{n}" for n in range(120)]
    assert chosen_columns(names, 100, "")[1:] == (100, 120)
    assert chosen_columns(names, -3, "C11")[0] == ["c11", *(f"c11{n}" for n in range(10))]
    found = table_window(pl.DataFrame({"n": [1]}), numbers=[7], personal={"n": "name"})
    assert (found.columns[0].personal, found.columns[0].is_number) == ("name", True)
    assert (found.rows[0].number, found.rows[0].cells, found.total_columns) == (7, ("1",), 1)
