"""What stays of stored rows when new ones are merged into them by their keys, as dlt merges."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_DELETED = "\0deleted"


def latest_rows(
    rows: pl.DataFrame, primary_key: Sequence[str], deleted: pl.Series | None
) -> pl.DataFrame:
    """The last row of each primary key, in order, without those that are among the `deleted`."""
    mask = pl.lit(False) if deleted is None else deleted.fill_null(False)
    marked = rows.with_columns(mask.alias(_DELETED))
    if primary_key:
        marked = marked.unique(primary_key, keep="last", maintain_order=True)
    return marked.filter(~pl.col(_DELETED)).drop(_DELETED)


def without_replaced(
    stored: pl.DataFrame, rows: pl.DataFrame, keys: Sequence[Sequence[str]]
) -> pl.DataFrame:
    """The stored rows that agree with none of the new `rows` in all columns of one of the `keys`.

    A null agrees with nothing, as in SQL; nor does a row that was stored before its key had that column.
    """
    for key in keys:
        if key and set(key) <= {*stored.columns} & {*rows.columns}:
            stored = stored.join(rows, on=[*key], how="anti", maintain_order="left")
    return stored
