"""Placeholder frames for a stage's inputs, which are recognized in a query plan.

A placeholder is an empty in-memory frame with an extra column, named after the input and dropped again.
A stage sees the names, positions, types and row count of a plain frame, and the mark stays in the plan
below every operator that the stage adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

_MARK = "__tidemill_input__ "


def placeholder_frame(name: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """An empty frame with the columns of `schema` that `query_digests` recognizes as the input `name`."""
    mark = _MARK + name
    return pl.LazyFrame(schema={**schema, mark: pl.Null()}).drop(mark)


def placeholder_input(scan: Mapping[str, Any]) -> str | None:
    """The input that the scan of an in-memory frame stands for; None if the frame is data."""
    last = next(reversed(scan["schema"]["fields"]), "")
    return last.removeprefix(_MARK) if last.startswith(_MARK) else None


def is_mark(column: str) -> bool:
    return column.startswith(_MARK)
