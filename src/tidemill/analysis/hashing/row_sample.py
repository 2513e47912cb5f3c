"""Which rows belong to a sample: those whose key's hash is small, in every run and on every machine.

Rows with the same key, in whatever table, are in the same samples; a larger sample has all of a smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import xxhash

_END, _NULL = "\x1f", "\x00"
_CODES = 1 << 64


def portion(rows: pl.DataFrame, by: Sequence[str], share: float) -> pl.DataFrame:
    """The share of the rows that is told by those of the columns `by` that they have; without any, all."""
    told = [name for name in by if name in rows.schema and not rows.schema[name].is_nested()]
    if not told:
        return rows
    texts = [_text(rows.schema[name], name) for name in told]
    keys = rows.select(pl.concat_str(texts, separator=_END).alias("key")).to_series()
    limit = int(share * _CODES)
    kept = [key for key in keys.unique() if xxhash.xxh64_intdigest(key.encode()) < limit]
    return rows.filter(keys.is_in(pl.Series(kept, dtype=pl.String).implode()))


def _text(dtype: pl.DataType, name: str) -> pl.Expr:
    value = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        value = value.dt.cast_time_unit("us")
    return value.cast(pl.String).fill_null(_NULL)
