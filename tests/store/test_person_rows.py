"""A person's rows are found whatever the type of the key, and never those of somebody else."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from sklearn.datasets import load_wine  # type: ignore[import-untyped]

from tidemill.store.person_rows import PersonKey, column_names

NAN = float("nan")
BERLIN = ZoneInfo("Europe/Berlin")


def rows(values: Any, value: str, kind: Any = None) -> tuple[list[int], list[int]]:
    """The rows that are the person's, and those that are doubtful."""
    frame = pl.DataFrame({"key": pl.Series(values, dtype=kind, strict=False), "other": 1})
    key = PersonKey("key", (value,))
    found = frame.select(
        key.rows(frame.schema).alias("rows"), key.doubtful(frame.schema).alias("doubtful")
    )
    return found["rows"].arg_true().to_list(), found["doubtful"].arg_true().to_list()


@pytest.mark.parametrize(
    ("values", "kind", "value", "found"),
    [
        ([7, 70, None], None, "7", [0]),
        ([7, 70, None], pl.UInt8, "7.0", [0]),
        ([7, 70, None], pl.UInt8, "007", [0]),
        ([7, 70, None], pl.UInt8, "256", []),
        ([2**63 + 1, 2**63, None], pl.UInt64, str(2**63 + 1), [0]),
        ([-7, 7], pl.Int128, "-7", [0]),
        ([7, 70], None, "1e999", []),
        # A hash of other columns that is taken for a number has no row, and stops nothing.
        ([7, 70], None, "9" * 64, []),
        ([7, 70], None, "7.5", []),
        ([7.0, 7.5, NAN, None], None, "7", [0]),
        ([7.0, 7.5, NAN, None], pl.Float32, "7.50", [1]),
        ([0.1, 0.2, NAN], pl.Float32, "0.1", [0]),
        ([NAN, None, float("inf")], None, "nan", []),
        ([NAN, None, float("inf")], None, "NaN", []),
        ([NAN, None, float("inf")], None, "inf", []),
        ([NAN, None, float("inf")], None, "null", []),
        ([Decimal("7.00"), Decimal("7.01"), None], pl.Decimal(10, 2), "7", [0]),
        ([Decimal("7.00"), Decimal("7.01"), None], pl.Decimal(10, 2), "7.010", [1]),
        ([Decimal("7.00"), None], pl.Decimal(10, 2), "7.001", []),
        ([Decimal("7.00"), None], pl.Decimal(10, 2), "1e60", []),
        (["7", "x", None, ""], None, "7", [0]),
        (["None", "null", None, "NaN"], None, "null", [1]),
        (["a", "b", None], pl.Categorical, "a", [0]),
        (["a", "b", None], pl.Enum(["b", "a"]), "a", [0]),
        ([True, False, None], None, "true", [0]),
        ([b"ab", b"\xff", None], None, "ab", [0]),
        ([date(2024, 3, 1), date(2024, 3, 2), None], None, "2024-03-01", [0]),
        ([date(2024, 3, 1)], None, "2024-03-01T00:00:00", [0]),
        ([date(2024, 3, 1)], None, "2024-03-01 12:00", []),
        ([date(2024, 3, 1)], None, "1", []),
        ([datetime(2024, 3, 1), datetime(2024, 3, 1, 12)], None, "2024-03-01", [0]),
        ([datetime(2024, 3, 1, 12), None], None, "2024-03-01T12:00", [0]),
        ([datetime(2024, 3, 1, 12)], None, "2024-03-01T12:00Z", []),
        ([datetime(2024, 3, 1, 12, tzinfo=UTC)], pl.Datetime("ms", "UTC"), "2024-03-01T12:00", [0]),
        ([datetime(2024, 3, 1, 12, tzinfo=UTC)], pl.Datetime("us", "Europe/Berlin"),
         "2024-03-01T13:00+01:00", [0]),
        ([datetime(2024, 3, 1, 12, tzinfo=UTC)], pl.Datetime("us", "Europe/Berlin"),
         "2024-03-01 13:00", [0]),
        ([time(12, 30), None], None, "12:30:00", [0]),
        ([[7, None], [], None, [8]], None, "7", [0]),
        ([[7, 8], [8, 9]], pl.Array(pl.Int64, 2), "7", [0]),
        ([None, None], None, "null", []),
    ],
)  # fmt: skip
def test_rows_are_found_by_their_value(
    values: list[Any], kind: Any, value: str, found: list[int]
) -> None:
    assert rows(values, value, kind) == (found, [])


@pytest.mark.parametrize(
    ("values", "kind", "value", "doubtful"),
    [
        (["007", " 7", "7.0", "70", "x"], None, "7", [0, 1, 2]),
        (["Ana@x.org", "ben"], None, "ana@X.org", [0]),
        (["007", "8"], pl.Categorical, "7", [0]),
        # A float of this size stands for several numbers.
        ([9007199254740992.0, NAN, 1.0], None, "9007199254740993", [0]),
        ([16777216.0, 1.0], pl.Float32, "16777217", [0]),
    ],
)
def test_what_may_be_meant_is_doubtful(
    values: list[Any], kind: Any, value: str, doubtful: list[int]
) -> None:
    assert rows(values, value, kind) == ([], doubtful)


def test_keys_in_nested_columns_are_found() -> None:
    frame = pl.DataFrame(
        {
            "customer": [{"id": 7, "name": "a"}, {"id": 8, "name": "7"}, None],
            "orders": [
                [{"lines": [{"id": 1}]}],
                [{"lines": [{"id": 7}, {"id": None}]}, {"lines": None}],
                [],
            ],
        }
    )
    key = PersonKey("id", ("7",))
    assert key.columns(frame.schema) == ["customer", "orders"]
    assert frame.select(key.rows(frame.schema)).to_series().to_list() == [True, True, False]
    whole = PersonKey("customer", ("7",))
    assert frame.select(whole.rows(frame.schema)).to_series().to_list() == [True, True, False]
    assert key.count(frame) == (2, 0)
    other = PersonKey("shop", ("7",))
    assert other.count(frame) == (0, 0)
    assert other.columns(frame.schema) == []
    assert frame.filter(other.rows(frame.schema)).height == 0


def test_keys_of_measured_data_are_found() -> None:
    wine = load_wine()
    frame = pl.DataFrame(wine.data, schema=list(wine.feature_names))
    for column in ("alcohol", "proline", "hue"):
        known = frame[column][17]
        key = PersonKey(column, (f"{known:g}",))
        found = frame.filter(key.rows(frame.schema))
        assert found.height == (frame[column] == known).sum() > 0
        assert frame.filter(key.doubtful(frame.schema)).height == 0


def test_fields_of_nested_columns_are_named() -> None:
    inner = pl.Struct({"id": pl.Int64, "tags": pl.List(pl.String)})
    schema = {"day": pl.Date, "rows": pl.List(pl.Array(inner, 2))}
    assert column_names(schema) == {"day", "rows", "id", "tags"}
