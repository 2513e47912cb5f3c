"""To which partition a row belongs, told by the value of its partition column.

Days, weeks and months of moments with a time zone are those of that zone's wall clock; hours are
UTC hours, so that the hour that a clock change gives twice is two partitions.
"""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import accumulate

import polars as pl

from tidemill.contracts.checks.casts import fit
from tidemill.core.partition import UNPLACED, WHOLE, Grain, Partitioning, end_of, key_of, start_of

_EVERY = {Grain.HOUR: "1h", Grain.DAY: "1d", Grain.WEEK: "1w", Grain.MONTH: "1mo"}


def keys_of(series: pl.Series, cut: Partitioning) -> pl.Series:
    """The partition key of each value, as text; null for a value that is missing."""
    if cut.is_whole:
        return pl.Series(series.name, [WHOLE]).new_from_index(0, series.len())
    if cut.grain is None:
        if isinstance(series.dtype, (pl.String, pl.Enum, pl.Categorical)):
            return series.cast(pl.String)
        values = series.unique().drop_nulls()
        texts = [str(value) for value in values]
    else:
        series = _wall(series, cut.grain).dt.truncate(_EVERY[cut.grain])
        values = series.unique().drop_nulls()
        texts = [key_of(moment, cut.grain) for moment in values.cast(pl.Datetime("us"))]
    if not texts:
        # Polars takes no replacement for one of the column's own type.
        return pl.Series(series.name, [None], dtype=pl.String).new_from_index(0, series.len())
    return series.replace_strict(values, texts, return_dtype=pl.String)


def raw_keys(series: pl.Series, dtype: pl.DataType, cut: Partitioning) -> pl.Series:
    """`keys_of` a column as it came, which the contract says is `dtype`."""
    return keys_of(fit(series, dtype)[1], cut)


def split(frame: pl.DataFrame, cut: Partitioning) -> dict[str, pl.DataFrame]:
    """The rows of each partition, in their order, by its key; those without a place are left out."""
    keys = keys_of(frame.get_column(cut.column), cut)
    runs = keys.rle().struct.unnest()
    names, lengths = runs.get_column("value").to_list(), runs.get_column("len").to_list()
    if len(set(names)) < len(names):
        parts = frame.with_columns(keys.alias("\0key")).partition_by(
            "\0key", as_dict=True, maintain_order=True, include_key=False
        )
        return {str(key): part for (key,), part in parts.items() if key is not None}
    starts = accumulate(lengths, initial=0)
    return {
        name: frame.slice(start, length)
        for name, start, length in zip(names, starts, lengths, strict=False)
        if name is not None
    }


def only_key(series: pl.Series, cut: Partitioning) -> str | None:
    """The key that all values share, told by the first and the last moment; None: look at each."""
    if cut.grain is None or not series.len() or series.null_count():
        return None
    # By the wall clock: where it goes back over midnight, a day's moments don't lie together.
    wall = _wall(series, cut.grain)
    keys = {_key_of(moment, cut.grain) for moment in (wall.min(), wall.max())}
    return keys.pop() if len(keys) == 1 else None


def _key_of(moment: object, grain: Grain) -> str:
    if isinstance(moment, datetime):
        return key_of(moment, grain)
    assert isinstance(moment, date)
    return key_of(datetime.combine(moment, time()), grain)


def outside(series: pl.Series, cut: Partitioning, partition: str) -> pl.Series:
    """Whether each value belongs to another partition; null for a value that is missing."""
    if partition == UNPLACED:
        return series.is_not_null()
    if cut.grain is None:
        return keys_of(series, cut) != partition
    start, end = _span(series.dtype, cut.grain, partition)
    wall = _wall(series, cut.grain)
    return (wall < start) | (wall >= end)


def all_inside(series: pl.Series, cut: Partitioning, partition: str) -> bool:
    """Whether no value belongs to another partition; reads less than `outside` when that is so."""
    if series.null_count() == series.len():
        return True
    if partition == UNPLACED:
        return False
    if cut.grain is None:
        least = series.min()
        return str(least) == partition and least == series.max()
    start, end = _span(series.dtype, cut.grain, partition)
    wall = _wall(series, cut.grain)
    least, most = wall.min(), wall.max()
    return bool(start <= least and most < end)  # type: ignore[operator]


def _wall(series: pl.Series, grain: Grain) -> pl.Series:
    """What the clock shows: in the column's own zone, and in UTC for hours."""
    if not isinstance(series.dtype, pl.Datetime) or series.dtype.time_zone is None:
        return series
    if grain is Grain.HOUR:
        series = series.dt.convert_time_zone("UTC")
    return series.dt.replace_time_zone(None)


def _span(dtype: pl.DataType, grain: Grain, partition: str) -> tuple[datetime, datetime]:
    start, end = start_of(partition, grain), end_of(partition, grain)
    if isinstance(dtype, pl.Date):
        # Only the comparison with a column of days needs days.
        return start.date(), end.date()  # type: ignore[return-value]
    return start, end
