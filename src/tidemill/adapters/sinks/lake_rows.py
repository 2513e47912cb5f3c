"""Rows in the types that lake tables have: no unsigned numbers, categories or milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

_WIDER: Mapping[type[pl.DataType], type[pl.DataType]] = {
    pl.UInt8: pl.Int16,
    pl.UInt16: pl.Int32,
    pl.UInt32: pl.Int64,
}


def lake_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with values of types that lake tables have; none of them is changed."""
    return frame.select(pl.col(name).cast(_stored(dtype)) for name, dtype in frame.schema.items())


def _stored(dtype: pl.DataType) -> pl.DataType:
    match dtype:
        case pl.Enum() | pl.Categorical():
            return pl.String()
        case pl.Datetime():
            return pl.Datetime("us", None if dtype.time_zone is None else "UTC")
        case pl.List():
            return pl.List(_stored(_instance(dtype.inner)))
        case pl.Struct():
            return pl.Struct({f.name: _stored(_instance(f.dtype)) for f in dtype.fields})
    return _WIDER.get(type(dtype), type(dtype))() if type(dtype) in _WIDER else dtype


def _instance(dtype: object) -> pl.DataType:
    found = dtype() if isinstance(dtype, type) else dtype
    assert isinstance(found, pl.DataType)
    return found


def schema_change(found: pl.Schema, rows: pl.Schema) -> str:
    """Why a table can't take rows: the first column whose type differs; empty if it can."""
    for name, dtype in rows.items():
        if name in found and found[name] != dtype:
            return (
                f"has a column {name!r} of type {found[name]}, but it is delivered as {dtype}; "
                "change the type of one of them, or deliver to another table"
            )
    return ""
