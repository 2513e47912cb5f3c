"""Index the values of some columns across many partitions, for fast lookup.

Hashes of the rows are kept in sorted runs; a new run is merged with older ones of its size, so that adding
many partitions costs only a few passes over their hashes. Rows with the same hash are compared by value,
so a collision is never taken for a match.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import TypeAlias

import numpy as np
import polars as pl

from tidemill.contracts.checks.casts import has_value
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.dtype import DType

# Sorted hashes, and the places of their rows.
_Run: TypeAlias = tuple[np.ndarray, np.ndarray]

_OWNER = "\0owner"
_TEXTS = frozenset({"String", "Enum", "Categorical"})


class ValueIndex:
    """An index of rows with these column types; each row has an owner (a number)."""

    def __init__(self, types: Mapping[str, pl.DataType]) -> None:
        self._types = dict(types)
        self._rows = pl.DataFrame(schema={**self._types, _OWNER: pl.UInt32})
        self._runs: list[_Run] = []

    def complete_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Cast the rows of a frame to the index's types, and keep those with a value in every column.

        The frame has the columns in this order, under any names. NaN counts as missing.
        """
        table = self._cast(frame)
        return table.filter(_complete(table))

    def add(self, frame: pl.DataFrame, owners: pl.Series | int) -> None:
        """Add the complete rows of a frame to the index.

        `owners` has a number for each row of the frame, or is one number for all.
        """
        table = self._cast(frame)
        owner = pl.lit(owners, dtype=pl.UInt32) if isinstance(owners, int) else owners
        rows = table.with_columns(owner.alias(_OWNER)).filter(_complete(table))
        if not rows.height:
            return
        hashes = _hashes(rows.drop(_OWNER))
        places = np.arange(self._rows.height, self._rows.height + rows.height, dtype=np.uint32)
        self._rows.vstack(rows, in_place=True)
        self._runs.append(_sorted(hashes, places))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            last, before = self._runs.pop(), self._runs.pop()
            both = zip(before, last, strict=True)
            self._runs.append(_sorted(*(np.concatenate(arrays) for arrays in both)))

    def _cast(self, frame: pl.DataFrame) -> pl.DataFrame:
        named = zip(frame.get_columns(), self._types.items(), strict=True)
        return pl.DataFrame(
            [_comparable(s.cast(dtype, strict=False)).alias(name) for s, (name, dtype) in named]
        )

    def find_matches(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Find the rows that are in the index: their number in `row`, and the `owner` of each match."""
        # In sorted order, neighbouring lookups touch neighbouring memory.
        hashes, rows = _sorted(_hashes(keys), np.arange(keys.height, dtype=np.uint32))
        found = [_lookup(hashes, run) for run in self._runs]
        if not any(len(at) for at, _ in found):
            return pl.DataFrame(schema={"row": pl.UInt32, "owner": pl.UInt32})
        asked = np.concatenate([rows[at] for at, _ in found])
        there = self._rows[np.concatenate([places for _, places in found])]
        own = keys[asked]
        same = reduce(and_, [own[name] == there[name] for name in self._types])
        return pl.DataFrame({"row": asked, "owner": there[_OWNER]}).filter(same)


def _lookup(hashes: np.ndarray, run: _Run) -> tuple[np.ndarray, np.ndarray]:
    """Find sorted hashes in a run: pairs of their index and the place of each match."""
    kept, places = run
    first = np.searchsorted(kept, hashes)
    hit = np.flatnonzero(kept[np.minimum(first, len(kept) - 1)] == hashes)
    first = first[hit]
    many = np.searchsorted(kept, hashes[hit], "right") - first
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    return np.repeat(hit, many), places[np.repeat(first, many) + within]


def comparison_type(one: DType, other: DType) -> pl.DataType:
    """Return the type in which to compare values of two types."""
    if one.name in _TEXTS:
        return pl.String()
    return polars_type(one if one.includes(other) else other)


def _hashes(keys: pl.DataFrame) -> np.ndarray:
    return keys.hash_rows(seed=0).to_numpy()


def _sorted(hashes: np.ndarray, places: np.ndarray) -> _Run:
    # A stable sort is fast on partly sorted input, such as two runs.
    order = np.argsort(hashes, kind="stable")
    return hashes[order], places[order]


def _comparable(series: pl.Series) -> pl.Series:
    """Turn -0.0 into 0.0, so that they hash alike."""
    return series + 0.0 if series.dtype.is_float() else series


def _complete(table: pl.DataFrame) -> pl.Series:
    return reduce(and_, map(has_value, table.get_columns()))
