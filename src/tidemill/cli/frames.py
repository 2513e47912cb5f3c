"""Frames as text: the first rows, and what is in each column."""

from __future__ import annotations

from typing import Any

import polars as pl
from polars import selectors as cs

from tidemill.cli.tables import table

_WIDEST = 32


def head_table(frame: pl.DataFrame) -> str:
    """The rows of a (small) frame; numbers are aligned to the right."""
    headers = [f">{name}" if dtype.is_numeric() else name for name, dtype in frame.schema.items()]
    if not headers:
        return "(no columns)"
    return table(headers, ([cell(value) for value in row] for row in frame.iter_rows()))


def cell(value: Any) -> str:
    """One value; text that is too long is cut."""
    if value is None:
        return "null"
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        text = str(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


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
            "type": str(dtype),
            "rows": row["rows"],
            "nulls": row[f"nulls {name}"],
            "min": row.get(f"min {name}"),
            "max": row.get(f"max {name}"),
            "unique": row.get(f"unique {name}"),
        }
        for name, dtype in schema.items()
    ]
