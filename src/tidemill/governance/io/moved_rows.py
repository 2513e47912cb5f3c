"""Count the rows that a new content of published partitions changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import polars as pl

from tidemill.analysis.hashing.row_keys import row_keys
from tidemill.core.errors import StorageError
from tidemill.ledger.binding import Product


def count_moved_rows(
    read: Callable[[Product], pl.DataFrame],
    new: Mapping[str, Product | None],
    old: Mapping[str, Product],
    apart: Collection[str] = (),
) -> int | None:
    """Count the rows of partitions that were published before and that would change, go or be added.

    A partition of `new` that is None would be removed. The columns `apart`, such as the version of a model,
    don't count. Rows with other columns have all moved. None if an object can't be read.
    """
    moved = 0
    for key, before in old.items():
        after = new.get(key)
        if key not in new or (after is not None and after.content == before.content):
            continue
        if after is None:
            moved += before.rows
            continue
        try:
            moved += moved_rows(
                read(before).drop(apart, strict=False), read(after).drop(apart, strict=False)
            )
        except (StorageError, pl.exceptions.PolarsError):
            return None
    return moved


def moved_rows(before: pl.DataFrame, after: pl.DataFrame) -> int:
    """The number of rows that differ: a changed row counts once, one that is gone or new as well."""
    if dict(before.schema) != dict(after.schema):
        return max(before.height, after.height)
    if not before.width:
        return abs(before.height - after.height)
    left, right = _counted(before, 1), _counted(after.select(before.columns), -1)
    sums = pl.concat([left, right]).group_by("high", "low").agg(pl.col("n").sum())["n"]
    gone, new = int(sums.filter(sums > 0).sum()), -int(sums.filter(sums < 0).sum())
    return max(gone, new)


def _counted(frame: pl.DataFrame, sign: int) -> pl.DataFrame:
    keys = row_keys(frame.get_columns())
    return pl.DataFrame({"high": keys.high, "low": keys.low}).with_columns(n=pl.lit(sign, pl.Int64))
