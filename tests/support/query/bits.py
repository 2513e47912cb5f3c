"""Values and rows that are equal only if they are the same bit by bit."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

import polars as pl


def bits(value: Any) -> Any:
    """A value that is equal to those that are the same bit by bit."""
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)
    if isinstance(value, pl.Series | list):
        return tuple(map(bits, value))
    if isinstance(value, dict):
        return tuple((name, bits(part)) for name, part in value.items())
    return value


def rows_of(frame: pl.DataFrame) -> Counter[Any]:
    """The rows as a multiset."""
    return Counter(tuple(map(bits, row)) for row in frame.iter_rows())
