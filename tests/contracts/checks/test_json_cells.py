"""Lists and structs in JSON text: each item is a value of its declared type, or the cell is none."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tidemill.contracts.checks.json_cells import nested_values

DAY, NOON = date(2013, 3, 7), datetime(2013, 3, 7, 12)


@pytest.mark.parametrize(
    ("inner", "item", "value"),
    [
        (pl.Int8(), "127", 127),
        (pl.Int8(), "128", None),
        (pl.UInt8(), "-1", None),
        (pl.UInt64(), "18446744073709551615", 18446744073709551615),
        (pl.Int64(), "1.0", None),
        (pl.Int64(), "true", None),
        (pl.Float64(), "1", 1.0),
        (pl.Float64(), "0.1", 0.1),
        (pl.Float64(), '"0.1"', None),
        (pl.Decimal(5, 2), "1.10", Decimal("1.10")),
        (pl.Decimal(5, 2), "1.105", None),
        (pl.Decimal(5, 2), "1000", None),
        (pl.String(), '"a"', "a"),
        (pl.String(), "1", None),
        (pl.String(), r'"\ud800"', None),
        (pl.Enum(["a"]), '"a"', "a"),
        (pl.Enum(["a"]), '"b"', None),
        (pl.Boolean(), "true", True),
        (pl.Boolean(), "1", None),
        (pl.Date(), '"2013-03-07"', DAY),
        (pl.Date(), '"7.3.2013"', None),
        (pl.Time(), '"12:00"', time(12)),
        (pl.Datetime("us"), '"2013-03-07T12:00"', NOON),
        (pl.Datetime("us"), '"2013-03-07T12:00Z"', None),
        (pl.Datetime("us", "UTC"), '"2013-03-07T12:00Z"', NOON.replace(tzinfo=UTC)),
        (pl.Binary(), '"a"', None),
        (pl.List(pl.Int8), "[1]", [1]),
        (pl.Struct({"x": pl.Int8, "y": pl.Int8}), '{"y": 2}', {"x": None, "y": 2}),
        (pl.Struct({"x": pl.Int8}), '{"z": 2}', None),
        (pl.Array(pl.Int8, 2), "[1, 2]", [1, 2]),
        (pl.Array(pl.Int8, 2), "[1]", None),
    ],
    ids=str,
)
def test_items(inner: pl.DataType, item: str, value: Any) -> None:
    text = pl.Series("a", [f"[{item}]", "[null]", "[]", None, "1", "[", item])
    found = nested_values(text, pl.List(inner))
    expected = None if value is None else [value]
    assert found.to_list()[:6] == [expected, [None], [], None, None, None]
    assert (found.name, found.dtype) == ("a", pl.List(inner))
