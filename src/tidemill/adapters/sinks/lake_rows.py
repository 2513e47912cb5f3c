"""Rows in the types that lake tables have: no unsigned numbers, categories or milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tidemill.adapters.sinks.nested_types import holds, replace_types

_DELTA: Mapping[type[pl.DataType], pl.DataType] = {
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
}
# Iceberg's smallest numbers have 32 bits.
_ICEBERG: Mapping[type[pl.DataType], pl.DataType] = {
    **_DELTA,
    pl.UInt8: pl.Int32(),
    pl.Int8: pl.Int32(),
    pl.Int16: pl.Int32(),
}


def delta_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with values of types that Delta tables have; none of them is changed."""
    return replace_types(frame, lambda dtype: _lake_type(dtype, _DELTA))


def iceberg_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with values of types that Iceberg tables have; none of them is changed."""
    return replace_types(frame, lambda dtype: _lake_type(dtype, _ICEBERG))


def _lake_type(dtype: pl.DataType, wider: Mapping[type[pl.DataType], pl.DataType]) -> pl.DataType:
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return pl.String()
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", None if dtype.time_zone is None else "UTC")
    return wider.get(type(dtype), dtype)


def join_rows(frames: Sequence[pl.DataFrame], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The rows of some partitions, with columns of these types; those that a partition lacks are null."""
    wanted = ((f, [pl.col(n).cast(schema[n]) for n in f.columns]) for f in frames)
    return pl.concat([frame.select(columns) for frame, columns in wanted], how="diagonal")


def widen_rows(rows: pl.DataFrame, found: pl.Schema) -> pl.DataFrame:
    """The rows in the types of a table, where these are wider."""
    return rows.with_columns(
        pl.col(name).cast(found[name])
        for name, dtype in rows.schema.items()
        if name in found and holds(found[name], dtype)
    )


def schema_change(found: pl.Schema, rows: pl.Schema, *, may_widen: bool) -> str:
    """Why a table can't take rows: the first column whose type differs; empty if it can.

    `may_widen`: whether the table's columns can get wider types.
    """
    for name, dtype in rows.items():
        if name not in found or holds(found[name], dtype):
            continue
        if not (may_widen and holds(dtype, found[name])):
            return (
                f"has a column {name!r} of type {found[name]}, but it is delivered as {dtype}; "
                "change the type of one of them, or deliver to another table"
            )
    return ""
