"""Frames that stand for a stage's inputs and are recognised in a plan.

An input is a frame in memory without rows that has a column more, named after the input and dropped on
top: what a stage sees (names, positions, types, row count) is what an unmarked frame shows, and the
mark stays in the plan below whatever the stage does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

_MARK = "__tidemill_input__ "


def marked(name: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """A frame without rows and with the columns of `schema` that `numbered` knows as the input `name`."""
    mark = _MARK + name
    return pl.LazyFrame(schema={**schema, mark: pl.Null()}).drop(mark)


def mark_in(scan: Mapping[str, Any]) -> str | None:
    """The name of the input that a scan of a frame in memory stands for; None if it is data."""
    last = next(reversed(scan["schema"]["fields"]), "")
    return last.removeprefix(_MARK) if last.startswith(_MARK) else None


def is_mark(column: str) -> bool:
    return column.startswith(_MARK)
