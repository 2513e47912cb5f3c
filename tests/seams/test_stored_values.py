"""Extreme values of each type, on every real sink: stored exactly, or refused before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.support.sinks import FORMATS, Outlet, elsewhere, outlet
from tidemill.contracts.checks.schema import dtype_of
from tidemill.core.errors import StorageError
from tidemill.workflow.sink import unstorable


@pytest.fixture(scope="module", params=FORMATS)
def sink(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outlet]:
    with outlet(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


NAN, INF = float("nan"), float("inf")
EXTREMES: list[tuple[pl.DataType, list[Any]]] = [
    (pl.Int64(), [2**63 - 1, -(2**63), 0]),
    (pl.Int32(), [2**31 - 1, -(2**31)]),
    (pl.Int16(), [2**15 - 1, -(2**15)]),
    (pl.Int8(), [127, -128]),
    (pl.UInt8(), [255, 0]),
    (pl.UInt16(), [65535, 0]),
    (pl.UInt32(), [2**32 - 1, 0]),
    (pl.UInt64(), [2**64 - 1, 2**63, 0]),
    (pl.Float64(), [NAN, INF, -INF, 0.0, 5e-324, 1.7976931348623157e308, 0.1]),
    (pl.Float32(), [NAN, INF, -INF, 3.4028234663852886e38, 1e-45, 0.1]),
    (pl.Boolean(), [True, False]),
    (pl.String(), ["", "NULL", "null", "\\N", "\t\n\r\\", "é😀", "'\"`$1%s?{}", "x" * 70_000, "\ufeff"]),
    (pl.Binary(), [b"", b"\0", b"\0\xff\n\t\\N", bytes(range(256)), b"\\x00"]),
    (pl.Date(), [date.min, date.max, date(1969, 12, 31), date(1582, 10, 10)]),
    (pl.Datetime("us"), [datetime.min, datetime.max, datetime(1969, 12, 31, 23, 59, 59, 999999)]),
    (pl.Datetime("ms"), [datetime.min, datetime(9999, 12, 31, 23, 59, 59, 999000)]),
    (pl.Datetime("us", "UTC"), [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
    # Its first hour is in the year 0 in UTC, its last one in the year 10000 in Tokyo.
    (pl.Datetime("us", "Asia/Tokyo"), [datetime.max.replace(tzinfo=UTC)]),
    (pl.Decimal(18, 2), [Decimal("0.00"), Decimal("-0.01"), Decimal("9999999999999999.99")]),
    (pl.Decimal(38, 0), [Decimal("9" * 38), Decimal("-" + "9" * 38)]),
    (pl.Decimal(38, 10), [Decimal("1" * 28 + "." + "9" * 10), Decimal("-0.0000000001")]),
    (pl.Time(), [time.min, time.max]),
    (pl.Duration("us"), [timedelta(0), timedelta(microseconds=-1), timedelta(days=106_000_000)]),
    (pl.Duration("ms"), [timedelta(milliseconds=-1), timedelta(days=-106_000_000)]),
    (pl.Enum(["a", "", "é"]), ["a", "", "é"]),
    (pl.Categorical(), ["a", "", "é"]),
]  # fmt: skip


def columns(dtype: pl.DataType, values: list[Any]) -> Iterator[pl.Series]:
    """The values as a column, and inside of lists, arrays and structs with nulls at each level."""
    yield pl.Series("plain", [*values, None], dtype=dtype)
    yield pl.Series("nothing", [None], dtype=dtype)
    yield pl.Series("list", [values, [], None, [None], values[:1]], dtype=pl.List(dtype))
    lists: list[Any] = [[values, [], None], [], None, [None], [[]], [[None]]]
    yield pl.Series("lists", lists, dtype=pl.List(pl.List(dtype)))
    array = [[values[0], values[-1]], [None, None], None]
    yield pl.Series("array", array, dtype=pl.Array(dtype, 2))
    struct = pl.Struct({"x": dtype, "y": pl.Int64()})
    rows = [*({"x": value, "y": 1} for value in values), {"x": None, "y": None}, None]
    yield pl.Series("struct", rows, dtype=struct)
    yield pl.Series("structs", [rows, [], None, [None]], dtype=pl.List(struct))
    within = [{"x": values}, {"x": []}, {"x": None}, {"x": [None]}, None]
    yield pl.Series("within", within, dtype=pl.Struct({"x": pl.List(dtype)}))
    yield pl.Series("deep", [{"x": {"x": None, "y": 1}}, {"x": None}, None, {"x": rows[0]}],
                    dtype=pl.Struct({"x": struct}))  # fmt: skip


def everything(format: str) -> pl.DataFrame:
    """All columns that a sink can store; short ones end with nulls."""
    found = []
    for dtype, values in EXTREMES:
        for column in columns(dtype, values):
            if unstorable(format, dtype_of(column.dtype)) is None:
                name = f"{column.name} {dtype}"
                found.append(column.alias(name).extend_constant(None, 12 - len(column)))
    return pl.DataFrame(found)


def test_extreme_values_and_nulls_at_each_level_are_stored(sink: Outlet) -> None:
    table, rows = elsewhere(sink, "extremes"), everything(sink.format)
    assert rows.width >= 40
    first, second = table.effect("a", 1.0, rows), table.effect("b", 2.0, rows[[*range(11, -1, -1)]])
    table.deliver(first)
    # The table that the first one made fits the second.
    table.deliver(second)
    assert (table.fault(first), table.fault(second)) == ("", "")


def test_a_list_of_structs_without_nulls_is_stored(sink: Outlet) -> None:
    dtype = pl.List(pl.Struct({"x": pl.Int64()}))
    if unstorable(sink.format, dtype_of(dtype), nullable=False) is not None:
        return
    table = elsewhere(sink, "structs")
    rows = pl.Series("v", [[{"x": 1}, None, {"x": None}], []], dtype=dtype).to_frame()
    written = table.effect("a", 1.0, rows)
    table.deliver(written)
    assert table.fault(written) == ""
    # A contract may let nulls pass with a warning.
    nulls = table.effect("b", 2.0, pl.Series("v", [None, []], dtype=dtype).to_frame())
    if sink.format == "iceberg":
        with pytest.raises(
            StorageError, match=r"has 1 value .*: null lists of structs, such as null"
        ):
            table.deliver(nulls)
    else:
        table.deliver(nulls)
        assert table.fault(nulls) == ""


def days(value: int) -> pl.Series:
    return pl.Series("v", [None, 0, value], dtype=pl.Int32).cast(pl.Date)


def number(value: int, dtype: pl.DataType) -> pl.Series:
    return pl.Series("v", [None, 0, value], dtype=pl.Int64).cast(dtype)


YEARS = "dates outside of the years 1 to 9999"
MICROSECOND = "times with parts of a microsecond"
REFUSED: list[tuple[pl.Series, str, str]] = [
    # Values, what they are, and the sinks that can store them.
    (days(2_932_897), YEARS, ""),
    (days(-719_163), YEARS, ""),
    (days(2**31 - 1), YEARS, ""),
    (number(253_402_300_800_000_000, pl.Datetime("us")), YEARS, ""),
    (number(253_402_300_800_000, pl.Datetime("ms", "Asia/Tokyo")), YEARS, ""),
    (number(-(2**63) + 1, pl.Datetime("us")), YEARS, ""),
    (number(2**63 - 1, pl.Datetime("ms")), YEARS, ""),
    (number(86_399_999_999_999, pl.Time()), MICROSECOND, "sqlite"),
    (number(2**63 - 1, pl.Duration("ms")), "durations of over 292,000 years", ""),
    (pl.Series("v", ["a", None, "a\0b"]), "texts with a NUL character", "sqlite duckdb delta iceberg"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_value_that_cant_be_stored_is_refused(sink: Outlet, number: int) -> None:
    values, what, stored = REFUSED[number]
    for place, column in enumerate((values, values.implode(), values.to_frame().to_struct("v"))):
        if unstorable(sink.format, dtype_of(column.dtype)) is not None:
            continue
        table = elsewhere(sink, f"refused_{number}_{place}")
        kept, written = (
            table.effect("a", 1.0, column.clear().to_frame("v")),
            table.effect("b", 2.0, column.to_frame("v")),
        )
        table.deliver(kept)
        if sink.format in stored.split():
            table.deliver(written)
            assert table.fault(written) == ""
        else:
            with pytest.raises(StorageError, match=f"scored b can't .* has 1 value .*: {what}"):
                table.deliver(written)
            assert table.rows() == {}
        assert table.fault(kept) == ""


WIDER: list[tuple[pl.DataType, pl.DataType, list[Any], list[Any]]] = [
    (pl.Int8(), pl.Int64(), [-128, 127], [2**62, 1]),
    (pl.Int32(), pl.Int64(), [-(2**31), None], [2**62, 1]),
    (pl.UInt8(), pl.Int32(), [255, 0], [-1, 2**31 - 1]),
    (pl.UInt32(), pl.Int64(), [2**32 - 1, 0], [-1, 2**62]),
    (pl.Float32(), pl.Float64(), [0.1, None], [0.1, 1e300]),
    (pl.Decimal(8, 2), pl.Decimal(12, 2), [Decimal("999999.99"), None], [Decimal("9999999999.99"), None]),
    (pl.Enum(["a"]), pl.Enum(["a", "b"]), ["a", None], ["b", "a"]),
    (pl.Enum(["a"]), pl.String(), ["a", None], ["b", "a"]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WIDER)))
def test_a_wider_type_fits_and_older_rows_stay(sink: Outlet, number: int) -> None:
    narrow, wide, few, many = WIDER[number]
    table = elsewhere(sink, f"wider_{number}")
    older = table.effect("a", 1.0, pl.Series("v", few, dtype=narrow).to_frame())
    newer = table.effect("b", 2.0, pl.Series("v", many, dtype=wide).to_frame())
    table.deliver(older)
    # Delta tables keep their types, of which none is unsigned.
    if sink.format == "delta" and isinstance(
        narrow, (pl.Int8, pl.Int32, pl.UInt8, pl.Float32, pl.Decimal)
    ):
        with pytest.raises(StorageError, match=r"has a column 'v' of type .*, but it is delivered"):
            table.deliver(newer)
        assert table.fault(older) == ""
        return
    table.deliver(newer)
    assert (table.fault(older), table.fault(newer)) == ("", "")
    # An earlier version is restored, with other rows that aren't.
    again = table.effect("b", 3.0, pl.Series("v", few, dtype=narrow).to_frame())
    other = table.effect("c", 3.0, pl.Series("v", many, dtype=wide).to_frame())
    table.deliver(again, other)
    assert (table.fault(older), table.fault(again), table.fault(other)) == ("", "", "")


@pytest.mark.parametrize("number", range(len(WIDER)))
def test_a_narrower_type_fits_into_a_table(sink: Outlet, number: int) -> None:
    narrow, wide, few, many = WIDER[number]
    table = elsewhere(sink, f"narrower_{number}")
    older = table.effect("a", 1.0, pl.Series("v", many, dtype=wide).to_frame())
    newer = table.effect("b", 2.0, pl.Series("v", few, dtype=narrow).to_frame())
    table.deliver(older)
    table.deliver(newer)
    assert (table.fault(older), table.fault(newer)) == ("", "")


NAMES = [
    *("", " ", " a", "a ", "null", "NULL", "'", "''", "`", '"', "a/b", "a\\b", "..", "a=b", "a,b"),
    *("é", "e\u0301", "\U0001f642", "\u202e", "\ufeff", "A", "a", "%", "%41", "\t", "\n", "1", "1.0"),
    *("true", "2024-01-01", "2024-01-01T00", "x" * 200),
]  # fmt: skip


def test_partitions_of_any_name_are_replaced_and_removed(sink: Outlet) -> None:
    table = elsewhere(sink, "names")
    for at, add in ((1.0, 0), (2.0, 100)):
        effects = [
            table.effect(name, at, pl.DataFrame({"v": [number + add]}))
            for number, name in enumerate(NAMES)
        ]
        table.deliver(*effects)
        wanted = {name: [(number + add,)] for number, name in enumerate(NAMES)}
        assert table.rows() == wanted
    assert {table.fault(effect) for effect in effects[:5]} == {""}
    table.deliver(*(table.effect(name, 3.0, None) for name in NAMES))
    assert table.rows() == {}


@pytest.mark.parametrize("name", ["x" * 240, "é" * 40, "__HIVE_DEFAULT_PARTITION__"])
def test_a_partition_whose_name_a_delta_table_cant_have(sink: Outlet, name: str) -> None:
    table = elsewhere(sink, f"long_{len(name)}")
    kept, long = (table.effect(each, 1.0, pl.DataFrame({"v": [1]})) for each in ("a", name))
    table.deliver(kept)
    if sink.format == "delta":
        with pytest.raises(StorageError, match="can't be delivered to a Delta table"):
            table.deliver(long)
        assert table.rows() == {"a": [(1,)]}
    else:
        table.deliver(long)
        assert table.rows() == {"a": [(1,)], name: [(1,)]}
