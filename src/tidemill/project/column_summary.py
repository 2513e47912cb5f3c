"""Summarize the columns of published partitions, from their stored profiles or from their rows."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors as cs

from tidemill.contracts.profiles.record import ColumnProfile, Profile, Scalar


def row_summary(frame: pl.LazyFrame) -> list[dict[str, Any]]:
    """Per column: type, nulls, minimum, maximum, number of distinct values (None for nested types).

    Null is no value, NaN is one.
    """
    schema = frame.collect_schema()
    flat = frame.select(~cs.nested() - cs.object()).collect_schema().names()
    wanted = [
        pl.len().alias("rows"),
        *(pl.col(name).null_count().alias(f"nulls {name}") for name in schema),
    ]
    for name in flat:
        column = pl.col(name)
        wanted.append(column.drop_nulls().n_unique().alias(f"unique {name}"))
        if not isinstance(schema[name], (pl.Categorical, pl.Enum)):
            wanted += [column.min().alias(f"min {name}"), column.max().alias(f"max {name}")]
    row = frame.select(wanted).collect(engine="streaming").row(0, named=True)
    return [
        {
            "name": name,
            # The contract shows the categories of an Enum.
            "type": "Enum" if isinstance(dtype, pl.Enum) else str(dtype),
            "rows": row["rows"],
            "nulls": row[f"nulls {name}"],
            "min": row.get(f"min {name}"),
            "max": row.get(f"max {name}"),
            "unique": row.get(f"unique {name}"),
        }
        for name, dtype in schema.items()
    ]


def profile_summary(stored: Profile, schema: pl.Schema) -> list[dict[str, Any]]:
    """The same from a stored profile; `about` marks estimated numbers of distinct values."""
    return [_column_summary(stored[name], dtype) for name, dtype in schema.items()]


def _column_summary(column: ColumnProfile, dtype: pl.DataType) -> dict[str, Any]:
    distinct = None if dtype.is_nested() else column.distinct
    found = {
        "name": column.name,
        "type": column.dtype,
        "rows": column.rows,
        "nulls": column.nulls,
        "min": _native(column.least, dtype),
        "max": _native(column.most, dtype),
        # The profile doesn't count NaN.
        "unique": None if distinct is None else distinct + bool(column.nans),
    }
    if not column.is_exact:
        found["about"] = True
    return found


def _native(value: Scalar | None, dtype: pl.DataType) -> Any:
    """A profile's value in the column's own type."""
    if value is None or not (dtype.is_temporal() or dtype.is_decimal() or dtype.is_integer()):
        return value
    return pl.Series([value]).cast(dtype).item()
