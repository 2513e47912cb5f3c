"""Replace types of columns, also inside of lists, arrays and structs."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


def replace_types(
    frame: pl.DataFrame, stored: Callable[[pl.DataType], pl.DataType]
) -> pl.DataFrame:
    """Cast each column to the type in which a sink stores it; `stored` returns it for scalar types."""
    return frame.select(
        pl.col(name).cast(_replaced(dtype, stored)) for name, dtype in frame.schema.items()
    )


def _replaced(dtype: pl.DataType, stored: Callable[[pl.DataType], pl.DataType]) -> pl.DataType:
    match dtype:
        case pl.List():
            return pl.List(_replaced(instance(dtype.inner), stored))
        case pl.Array():
            return pl.Array(_replaced(instance(dtype.inner), stored), dtype.size)
        case pl.Struct():
            return pl.Struct({f.name: _replaced(instance(f.dtype), stored) for f in dtype.fields})
    return stored(dtype)


def instance(dtype: object) -> pl.DataType:
    """The type of a nested column, which Polars may name by its class."""
    found = dtype() if isinstance(dtype, type) else dtype
    assert isinstance(found, pl.DataType)
    return found


def in_utc(dtype: pl.DataType) -> pl.DataType:
    """The same type, with times in UTC: the calendar's first and last hours have no other one in Python."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    return dtype
