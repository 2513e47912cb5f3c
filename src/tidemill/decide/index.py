"""Values of some columns in many partitions, kept so that others are found among them quickly.

Rows are kept in runs that are sorted by a hash of their values, of which a new one is merged with those
of its size: to add a million partitions costs no more than to sort their rows a few times. What has the
hash of a kept row is compared with it value by value, so that no collision is taken for a match.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_

import numpy as np
import polars as pl

from tidemill.decide.schema import polars_type
from tidemill.domain.dtype import DType

_OWNER = "\0owner"
_ROW, _AT = "row", "at"
_TEXTS = frozenset({"String", "Enum", "Categorical"})


class Index:
    """The rows that were added, each of an owner (a number), in columns of these types."""

    def __init__(self, types: Mapping[str, pl.DataType]) -> None:
        self._types = dict(types)
        self._runs: list[tuple[np.ndarray, pl.DataFrame]] = []

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
        self._runs.append(_sorted(rows))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            (_, last), (_, before) = self._runs.pop(), self._runs.pop()
            self._runs.append(_sorted(pl.concat([before, last])))

    def _cast(self, frame: pl.DataFrame) -> pl.DataFrame:
        named = zip(frame.get_columns(), self._types.items(), strict=True)
        return pl.DataFrame(
            [_comparable(s.cast(dtype, strict=False)).alias(name) for s, (name, dtype) in named]
        )

    def matches(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Each row that is kept already: its index in `row`, and the `owner` of the kept one."""
        hashes = _hashes(keys)
        found = [self._among(keys, hashes, run) for run in self._runs]
        empty = pl.DataFrame(schema={_ROW: pl.UInt32, "owner": pl.UInt32})
        return pl.concat([empty, *found])

    def _among(
        self, keys: pl.DataFrame, hashes: np.ndarray, run: tuple[np.ndarray, pl.DataFrame]
    ) -> pl.DataFrame:
        kept, rows = run
        first = np.searchsorted(kept, hashes, "left")
        stop = np.searchsorted(kept, hashes, "right")
        hit = np.flatnonzero(stop > first)
        pairs = pl.DataFrame(
            {_ROW: hit.astype(np.uint32), "first": first[hit], "stop": stop[hit]}
        ).select(_ROW, pl.int_ranges("first", "stop", dtype=pl.UInt32).alias(_AT))
        pairs = pairs.explode(_AT)
        asked, there = keys[pairs[_ROW]], rows[pairs[_AT]]
        same = reduce(and_, [asked[name] == there[name] for name in self._types])
        return pl.DataFrame({_ROW: pairs[_ROW], "owner": there[_OWNER]}).filter(same)


def common_type(one: DType, other: DType) -> pl.DataType:
    """The type in which values of two types are compared."""
    if one.name in _TEXTS:
        return pl.String()
    return polars_type(one if one.holds(other) else other)


def _hashes(keys: pl.DataFrame) -> np.ndarray:
    return keys.hash_rows(seed=0).to_numpy()


def _sorted(rows: pl.DataFrame) -> tuple[np.ndarray, pl.DataFrame]:
    hashes = _hashes(rows.drop(_OWNER))
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order]


def _comparable(series: pl.Series) -> pl.Series:
    """Zero is one value, though floats write two."""
    return series + 0.0 if series.dtype.is_float() else series


def _complete(table: pl.DataFrame) -> pl.Series:
    return reduce(and_, map(_present, table.get_columns()))


def _present(series: pl.Series) -> pl.Series:
    present = series.is_not_null()
    return present & series.is_not_nan().fill_null(False) if series.dtype.is_float() else present
