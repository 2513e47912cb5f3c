"""What is in the columns of a frame."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors as cs


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
