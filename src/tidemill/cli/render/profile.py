"""What is in the columns of published partitions: as their profiles tell, or of their rows."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors as cs

from tidemill.contracts.profiles.record import ColumnProfile, Profile, Scalar


def profile(frame: pl.LazyFrame) -> list[dict[str, Any]]:
    """Per column: type, nulls, least and greatest value, number of distinct values (nested: unknown)."""
    schema = frame.collect_schema()
    flat = frame.select(~cs.nested() - cs.object()).collect_schema().names()
    wanted = [
        pl.len().alias("rows"),
        *(pl.col(name).null_count().alias(f"nulls {name}") for name in schema),
    ]
    for name in flat:
        column = pl.col(name)
        wanted.append(column.n_unique().alias(f"unique {name}"))
        if not isinstance(schema[name], (pl.Categorical, pl.Enum)):
            wanted += [column.min().alias(f"min {name}"), column.max().alias(f"max {name}")]
    row = frame.select(wanted).collect(engine="streaming").row(0, named=True)
    return [
        {
            "name": name,
            # The categories of an Enum are its contract's matter.
            "type": "Enum" if isinstance(dtype, pl.Enum) else str(dtype),
            "rows": row["rows"],
            "nulls": row[f"nulls {name}"],
            "min": row.get(f"min {name}"),
            "max": row.get(f"max {name}"),
            "unique": row.get(f"unique {name}"),
        }
        for name, dtype in schema.items()
    ]


def told(stored: Profile, schema: pl.Schema) -> list[dict[str, Any]]:
    """What `profile` tells, of a stored profile; `about` marks numbers that are estimated."""
    return [_told(stored[name], dtype) for name, dtype in schema.items()]


def _told(column: ColumnProfile, dtype: pl.DataType) -> dict[str, Any]:
    distinct = None if dtype.is_nested() else column.distinct
    found = {
        "name": column.name,
        "type": column.dtype,
        "rows": column.rows,
        "nulls": column.nulls,
        "min": _native(column.least, dtype),
        "max": _native(column.most, dtype),
        # Null is one of the different values, and NaN another, as Polars counts.
        "unique": None if distinct is None else distinct + bool(column.nulls) + bool(column.nans),
    }
    if not column.is_exact:
        found["about"] = True
    return found


def _native(value: Scalar | None, dtype: pl.DataType) -> Any:
    """A value of a profile in the type of its column."""
    if value is None or not (dtype.is_temporal() or dtype.is_decimal() or dtype.is_integer()):
        return value
    return pl.Series([value]).cast(dtype).item()
