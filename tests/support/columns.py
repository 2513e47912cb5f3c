"""Columns of every type, the digests that they have for good, and layouts that leave no trace."""

from __future__ import annotations

import datetime as dt
import io
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

LONG = "a string that is longer than a view"
COLOURS = ("red", "green", "blue")

# For each type at least two values; the golden column is all of them, a null, and the first again.
VALUES: list[tuple[str, pl.DataType, list[Any]]] = [
    ("boolean", pl.Boolean(), [True, False]),
    ("int8", pl.Int8(), [0, -128, 127]),
    ("int16", pl.Int16(), [0, -32768, 7]),
    ("int32", pl.Int32(), [0, -1, 2**31 - 1]),
    ("int64", pl.Int64(), [0, -1, 2**63 - 1]),
    ("int128", pl.Int128(), [0, -1, 2**100]),
    ("uint8", pl.UInt8(), [0, 1, 255]),
    ("uint16", pl.UInt16(), [0, 1, 65535]),
    ("uint32", pl.UInt32(), [0, 1, 2**32 - 1]),
    ("uint64", pl.UInt64(), [0, 1, 2**64 - 1]),
    ("uint128", pl.UInt128(), [0, 1, 2**128 - 1]),
    ("float16", pl.Float16(), [0.0, -0.0, 1.5, float("nan"), float("inf")]),
    ("float32", pl.Float32(), [0.0, -0.0, 1.5, float("nan"), float("inf")]),
    ("float64", pl.Float64(), [0.0, -0.0, 0.1, float("nan"), float("-inf")]),
    ("decimal", pl.Decimal(20, 2), [Decimal("0.00"), Decimal("-1.25"), Decimal("12345678.90")]),
    ("date", pl.Date(), [dt.date(1970, 1, 1), dt.date(2013, 3, 10)]),
    ("time", pl.Time(), [dt.time(0), dt.time(23, 59, 59, 999999)]),
    ("datetime", pl.Datetime("us"), [dt.datetime(1970, 1, 1), dt.datetime(2013, 3, 10, 2)]),
    (
        "datetime_zone",
        pl.Datetime("ns", "America/New_York"),
        [dt.datetime(2013, 1, 1, tzinfo=dt.UTC), dt.datetime(2013, 11, 3, 6, tzinfo=dt.UTC)],
    ),
    ("duration", pl.Duration("ms"), [dt.timedelta(0), dt.timedelta(days=-1)]),
    ("string", pl.String(), ["", "a", "twelve bytes", "ünï", LONG, LONG + "!"]),
    ("binary", pl.Binary(), [b"", b"\0", b"\0\0", b"\xff" * 12, b"\xff" * 13]),
    ("categorical", pl.Categorical(), ["red", "green", LONG]),
    ("categorical_named", pl.Categorical(pl.Categories("c", "n", pl.UInt8)), ["red", "green"]),
    ("enum", pl.Enum(COLOURS), [*COLOURS]),
    ("enum_wide", pl.Enum([f"v{n}" for n in range(300)]), ["v0", "v7", "v299"]),
    ("null", pl.Null(), []),
    ("list", pl.List(pl.Int64), [[], [1], [1, 2], [None], [2, 1]]),
    ("list_string", pl.List(pl.String), [["ab", "c"], ["a", "bc"], [LONG], [""], []]),
    ("list_list", pl.List(pl.List(pl.Int8)), [[[1], [2]], [[1, 2], []], [None, []], []]),
    ("list_categorical", pl.List(pl.Categorical()), [["red", None], ["green"], []]),
    ("list_null", pl.List(pl.Null), [[], [None], [None, None]]),
    ("array", pl.Array(pl.Int16, 2), [[1, 2], [2, 1], [None, 1]]),
    ("array_array", pl.Array(pl.Boolean, (2, 2)), [[[True, False], None], [None, [True, False]]]),
    ("array_categorical", pl.Array(pl.Categorical(), 2), [["red", None], ["red", "green"]]),
    (
        "struct",
        pl.Struct({"x": pl.Int64, "y": pl.String}),
        [{"x": 1, "y": "a"}, {"x": None, "y": None}, {"x": 1, "y": LONG}],
    ),
    (
        "struct_deep",
        pl.Struct({"l": pl.List(pl.Struct({"c": pl.Categorical(), "f": pl.Float32}))}),
        [{"l": None}, {"l": []}, {"l": [None]}, {"l": [{"c": "red", "f": None}]}],
    ),
    ("struct_empty", pl.Struct([]), [{}]),
    ("map", pl.Map(pl.String, pl.Int64), [{}, {"a": 1}, {"a": 1, LONG: 2}, {LONG: 2, "a": 1}]),
]
GOLDEN = {
    "boolean": "0411c6811ae74e52f1e5da10c43d6669",
    "int8": "2d3560dad6498d6c01aba991e72e77da",
    "int16": "c6dd33a223307ff96594c3fe6b2587d8",
    "int32": "93ada41de7ae3d1ee25dce50872b4c9d",
    "int64": "19bcb319d5390659d464f8be66d857fd",
    "int128": "c8f14569a4887614c7efdd65ce2ce823",
    "uint8": "ed653d3d7f78ab8aabbd3431be9d733b",
    "uint16": "7f491d8be44175b377f76d8ba6218cce",
    "uint32": "d2b9a89c762c08cb82ab0116cb86dd30",
    "uint64": "4430f8ee93c1c3ac01cac6a8807d99bc",
    "uint128": "d5712f46094fd4dce25e095060037ef0",
    "float16": "666ee9a1c21bf55b1871f0db029a9ba3",
    "float32": "0cdac28382470f01e26b6dccdc4ed452",
    "float64": "e03cd624e13657acf0248f5e20521be4",
    "decimal": "d287bc8a81253f80d49261a0be2e5d2b",
    "date": "8355aeebdf5695b74b3242e4466ae185",
    "time": "661eafe9de02c7ab44a201156899c511",
    "datetime": "e375c68aaa63cad6889329357d80e1c8",
    "datetime_zone": "aad357f053a87654c3a9b43d19e37354",
    "duration": "0bbbec8cb3e59a29fa54c8454b8a0596",
    "string": "bcf8b5b0826ef10a842d8cab1c6759d7",
    "binary": "1f61bfa2a13ef692abef085531aa6c04",
    "categorical": "a9ab91d3f6e562adb4cc17da47ec77ab",
    "categorical_named": "951925bba41457f0d7fb337b4c4cfb45",
    "enum": "66f3b3209f930172921b168f42195cf1",
    "enum_wide": "c4003cb21370386c0a86a72b66089b1a",
    "null": "e9f4e4505a58c792844a4357962d9069",
    "list": "f93657e0a8fd58d2acf9d52ae188aca4",
    "list_string": "76f68693e717ce8515da57e50e260874",
    "list_list": "d926b2e3ec381d14ed7a5b8c975d476a",
    "list_categorical": "6e9c0215a347ebbd918b31b46d230796",
    "list_null": "bc6813263370aae001b6b96dbcf25a4c",
    "array": "1c49db161958f96875aa89b74286c067",
    "array_array": "32d4944acbedf4e62d12c99092e302da",
    "array_categorical": "d822e8c4d43d78fa4ec0447686a16495",
    "struct": "5d10f77ad9cc94a9970c82ef71bc24ec",
    "struct_deep": "2683122664de5ff6135365fa3e439c2b",
    "struct_empty": "99e5644dbf1ca301e778bd6f965a9a9e",
    "map": "d6edcba498077fe9bfa2cc7bae0e8b5c",
}
ROWSET_GOLDEN = "f0456979ed97c04d5e902e891d02854a"


def golden_columns() -> dict[str, pl.Series]:
    return {
        name: pl.Series(name, [*values, None, *values[:1]], dtype=dtype)
        for name, dtype, values in VALUES
    }


def with_garbage(column: pl.Series) -> pl.Series:
    """The same values, with other values left in memory under the nulls."""
    present = column.drop_nulls()
    if present.is_empty() or column.dtype == pl.Null:
        return column
    filled = column.to_frame("v").select(
        pl.when(pl.col("v").is_null()).then(pl.lit(present[:1]).first()).otherwise("v").alias("v")
    )
    return filled.select(pl.when(column.is_not_null()).then("v")).to_series()


def through_parquet(column: pl.Series) -> pl.Series:
    memory = io.BytesIO()
    column.to_frame("v").write_parquet(memory)
    return pl.read_parquet(memory.getvalue())["v"]


def through_ipc(column: pl.Series) -> pl.Series:
    memory = io.BytesIO()
    column.to_frame("v").write_ipc(memory)
    return pl.read_ipc(memory.getvalue())["v"]


def backwards(column: pl.Series) -> pl.Series:
    return column.gather(np.arange(len(column), dtype=np.int64)[::-1])


def shuffled_back(column: pl.Series) -> pl.Series:
    order = list(range(len(column)))
    random.Random(len(column)).shuffle(order)
    back = np.argsort(np.array(order, dtype=np.int64), kind="stable")
    return column.gather(order).gather(back)


LAYOUTS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "slice": lambda c: pl.concat([backwards(c), c, c])[len(c) : 2 * len(c)],
    "rechunked slice": lambda c: pl.concat([c[1:], c, c]).rechunk().slice(len(c[1:]), len(c)),
    "pieces": lambda c: pl.concat([c[:1], c[1:4], c[4:4], c[4:]], rechunk=False),
    "rechunked pieces": lambda c: pl.concat([c[:1], c[1:4], c[4:]], rechunk=True),
    "filter": lambda c: pl.concat([c, c]).filter(
        pl.Series([False] * len(c) + [True] * len(c), dtype=pl.Boolean)
    ),
    "gather": shuffled_back,
    "reversed twice": lambda c: backwards(backwards(c)),
    "garbage": with_garbage,
    "sliced garbage": lambda c: with_garbage(pl.concat([c, c]))[len(c) :],
    "parquet": through_parquet,
    "ipc": through_ipc,
}
