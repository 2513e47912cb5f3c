"""Replace types of columns, also inside of lists, arrays and structs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def plain_type(dtype: pl.DataType) -> pl.DataType:
    """The same type without categories, and with times in UTC.

    The first and last hours of the calendar have no other time in Python.
    """
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return pl.String()
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.Datetime(dtype.time_unit, "UTC")
    return dtype


def holds(wide: pl.DataType, dtype: pl.DataType) -> bool:
    """Whether a type has all values of another one: the same, or a wider number."""
    if isinstance(wide, pl.Decimal) and isinstance(dtype, pl.Decimal):
        digits = wide.precision - wide.scale, dtype.precision - dtype.scale
        return wide.scale >= dtype.scale and digits[0] >= digits[1]
    return wide == dtype or type(wide) in _WIDER.get(type(dtype), ())


_WIDER: Mapping[type[pl.DataType], tuple[type[pl.DataType], ...]] = {
    pl.Int8: (pl.Int16, pl.Int32, pl.Int64),
    pl.Int16: (pl.Int32, pl.Int64),
    pl.Int32: (pl.Int64,),
    pl.UInt8: (pl.UInt16, pl.UInt32, pl.UInt64, pl.Int16, pl.Int32, pl.Int64),
    pl.UInt16: (pl.UInt32, pl.UInt64, pl.Int32, pl.Int64),
    pl.UInt32: (pl.UInt64, pl.Int64),
    pl.Float32: (pl.Float64,),
}
