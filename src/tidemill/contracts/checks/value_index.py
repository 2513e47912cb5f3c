"""Values of some columns in many partitions, kept so that others are found among them quickly.

Hashes of the rows are kept in sorted runs, of which a new one is merged with those of its size: to add
many partitions costs no more than to go through their hashes a few times. What has the hash of a kept
row is compared with it value by value, so that no collision is taken for a match.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import TypeAlias

import numpy as np
import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.dtype import DType

# Hashes in their order, and the places of the rows that have them.
_Run: TypeAlias = tuple[np.ndarray, np.ndarray]

_OWNER = "\0owner"
_TEXTS = frozenset({"String", "Enum", "Categorical"})


class Index:
    """The rows that were added, each of an owner (a number), in columns of these types."""

    def __init__(self, types: Mapping[str, pl.DataType]) -> None:
        self._types = dict(types)
        self._rows = pl.DataFrame(schema={**self._types, _OWNER: pl.UInt32})
        self._runs: list[_Run] = []

    def fitted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of a frame that have a value in every column, in the types of these keys.

        The frame has the columns in this order, under any names. NaN is a missing value.
        """
        table = self._cast(frame)
        return table.filter(_complete(table))

    def add(self, frame: pl.DataFrame, owners: pl.Series | int) -> None:
        """Keep the rows of a frame as `fitted` gives them.

        `owners` has a number for each row of the frame, or is that of all.
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

    def matches(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Each row that is kept already: its index in `row`, and the `owner` of the kept one."""
        # In their order neighbours are sought near each other.
        hashes, rows = _sorted(_hashes(keys), np.arange(keys.height, dtype=np.uint32))
        found = [_alike(hashes, run) for run in self._runs]
        if not any(len(at) for at, _ in found):
            return pl.DataFrame(schema={"row": pl.UInt32, "owner": pl.UInt32})
        asked = np.concatenate([rows[at] for at, _ in found])
        there = self._rows[np.concatenate([places for _, places in found])]
        own = keys[asked]
        same = reduce(and_, [own[name] == there[name] for name in self._types])
        return pl.DataFrame({"row": asked, "owner": there[_OWNER]}).filter(same)


def _alike(hashes: np.ndarray, run: _Run) -> tuple[np.ndarray, np.ndarray]:
    """Which of some sorted hashes a run has, and where it has them; as often as it does."""
    kept, places = run
    first = np.searchsorted(kept, hashes)
    hit = np.flatnonzero(kept[np.minimum(first, len(kept) - 1)] == hashes)
    first = first[hit]
    many = np.searchsorted(kept, hashes[hit], "right") - first
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    return np.repeat(hit, many), places[np.repeat(first, many) + within]


def common_type(one: DType, other: DType) -> pl.DataType:
    """The type in which values of two types are compared."""
    if one.name in _TEXTS:
        return pl.String()
    return polars_type(one if one.holds(other) else other)


def _hashes(keys: pl.DataFrame) -> np.ndarray:
    return keys.hash_rows(seed=0).to_numpy()


def _sorted(hashes: np.ndarray, places: np.ndarray) -> _Run:
    # A stable sort takes what is sorted in parts already, such as two runs, in one go.
    order = np.argsort(hashes, kind="stable")
    return hashes[order], places[order]


def _comparable(series: pl.Series) -> pl.Series:
    """Zero is one value, though floats write two."""
    return series + 0.0 if series.dtype.is_float() else series


def _complete(table: pl.DataFrame) -> pl.Series:
    return reduce(and_, map(_present, table.get_columns()))


def _present(series: pl.Series) -> pl.Series:
    present = series.is_not_null()
    return present & series.is_not_nan().fill_null(False) if series.dtype.is_float() else present
