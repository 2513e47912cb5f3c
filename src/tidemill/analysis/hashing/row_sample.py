"""Row samples by the hash of a key: the same rows in every run and on every machine.

Rows with the same key are in the same samples, in every table. A larger sample contains every smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import xxhash

_END, _NULL = "\x1f", "\x00"
_CODES = 1 << 64


def sample_rows(
    rows: pl.DataFrame, by: Sequence[str], share: float, values: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Keep the rows whose key hashes into the first `share` of all hashes.

    The key is made of those of the columns `by` that the rows have and that aren't nested; without any,
    all rows are kept. `values` has the columns of the key if the rows have them in another form.
    """
    whole, rows = rows, rows if values is None else values
    present = [name for name in by if name in rows.schema and not rows.schema[name].is_nested()]
    if not present:
        return whole
    texts = [_text(rows.schema[name], name) for name in present]
    keys = rows.select(pl.concat_str(texts, separator=_END).alias("key")).to_series()
    limit = int(share * _CODES)
    kept = [key for key in keys.unique() if xxhash.xxh64_intdigest(key.encode()) < limit]
    return whole.filter(keys.is_in(pl.Series(kept, dtype=pl.String).implode()))


def _text(dtype: pl.DataType, name: str) -> pl.Expr:
    value = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        value = value.dt.cast_time_unit("us")
    return value.cast(pl.String).fill_null(_NULL)
