"""Assign rows to partitions by the value of their partition column.

Days, weeks and months of timestamps with a time zone follow that zone's wall clock; hours are UTC hours,
so that the hour that a clock change repeats gives two partitions.
"""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import accumulate

import polars as pl

from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.schema import TEXT_TYPES
from tidemill.contracts.text_format import AS_STORED, TextFormat
from tidemill.core.partition import (
    RESERVED,
    UNPLACED,
    WHOLE,
    Grain,
    Partitioning,
    partition_end,
    partition_key,
    partition_start,
    value_key,
)

_KEY = "\0key"
_EVERY = {Grain.HOUR: "1h", Grain.DAY: "1d", Grain.WEEK: "1w", Grain.MONTH: "1mo"}


def partition_keys(series: pl.Series, partitioning: Partitioning) -> pl.Series:
    """Return the partition key of each value as text; null for a missing value."""
    if partitioning.is_whole:
        return pl.Series(series.name, [WHOLE]).new_from_index(0, series.len())
    series = _periods(series, partitioning)
    if partitioning.grain is None:
        if isinstance(series.dtype, TEXT_TYPES):
            return _text_keys(series.cast(pl.String))
        values = series.unique().drop_nulls()
        texts = [str(value) for value in values]
    else:
        values = series.unique().drop_nulls()
        texts = [
            partition_key(moment, partitioning.grain) for moment in values.cast(pl.Datetime("us"))
        ]
    if not texts:
        # Polars refuses an empty replacement.
        return pl.Series(series.name, [None], dtype=pl.String).new_from_index(0, series.len())
    return series.replace_strict(values, texts, return_dtype=pl.String)


def _periods(series: pl.Series, partitioning: Partitioning) -> pl.Series:
    """Return what rows of one partition have in common: the begin of their period, or their value."""
    if partitioning.grain is None:
        return series
    return _wall_clock(series, partitioning.grain).dt.truncate(_EVERY[partitioning.grain])


def _text_keys(series: pl.Series) -> pl.Series:
    """Replace the few texts that can't be keys themselves."""
    suspects = series.is_in(["", *RESERVED]) | series.str.starts_with("\\")
    if not suspects.any():
        return series
    values = series.filter(suspects).unique()
    return series.replace(values, [value_key(value) for value in values])


def raw_partition_keys(
    series: pl.Series,
    dtype: pl.DataType,
    partitioning: Partitioning,
    text: TextFormat = AS_STORED,
) -> pl.Series:
    """Return the partition keys of an unconverted column that the contract declares as `dtype`."""
    return partition_keys(cast_column(series, dtype, text)[1], partitioning)


def split_by_partition(frame: pl.DataFrame, partitioning: Partitioning) -> dict[str, pl.DataFrame]:
    """Split a frame into partitions by key, in row order; rows without a partition are left out."""
    column = frame.get_column(partitioning.column)
    # Of each run of equal values, one is named: naming every row takes as long as checking it.
    runs = _periods(column, partitioning).rle().struct.unnest()
    names = partition_keys(runs.get_column("value"), partitioning).to_list()
    lengths = runs.get_column("len").to_list()
    if len(set(names)) < len(names):
        keys = partition_keys(column, partitioning)
        parts = frame.with_columns(keys.alias(_KEY)).partition_by(
            _KEY, as_dict=True, maintain_order=True, include_key=False
        )
        return {str(key): part for (key,), part in parts.items() if key is not None}
    starts = accumulate(lengths, initial=0)
    return {
        name: frame.slice(start, length)
        for name, start, length in zip(names, starts, lengths, strict=False)
        if name is not None
    }


def sort_by_partition(
    frame: pl.DataFrame, keys: pl.Series | pl.Expr
) -> tuple[pl.DataFrame, dict[str, tuple[int, int]]]:
    """Bring the rows of each partition together, in their order; return the offset and length of each.

    `keys` are the partitions of the rows; rows without one are in UNPLACED.
    """
    ordered = frame.with_columns(keys.alias(_KEY)).sort(_KEY, maintain_order=True)
    runs = ordered.get_column(_KEY).rle().struct.unnest()
    names, lengths = runs.get_column("value").to_list(), runs.get_column("len").to_list()
    starts = accumulate(lengths, initial=0)
    return ordered.drop(_KEY), {
        UNPLACED if name is None else name: (start, length)
        for name, start, length in zip(names, starts, lengths, strict=False)
    }


def common_key(series: pl.Series, partitioning: Partitioning) -> str | None:
    """Return the key that all values share, from their minimum and maximum; None if it isn't certain."""
    if partitioning.grain is None or not series.len() or series.null_count():
        return None
    # By the wall clock: if it goes back over midnight, a day isn't one range in UTC.
    wall = _wall_clock(series, partitioning.grain)
    keys = {_key_of(moment, partitioning.grain) for moment in (wall.min(), wall.max())}
    return keys.pop() if len(keys) == 1 else None


def _key_of(moment: object, grain: Grain) -> str:
    if isinstance(moment, datetime):
        return partition_key(moment, grain)
    assert isinstance(moment, date)
    return partition_key(datetime.combine(moment, time()), grain)


def rows_outside(series: pl.Series, partitioning: Partitioning, partition: str) -> pl.Series:
    """Mark the values that belong to another partition; null for a missing value."""
    if partition == UNPLACED:
        return series.is_not_null()
    if partitioning.grain is None:
        return partition_keys(series, partitioning) != partition
    start, end = _bounds(series.dtype, partitioning.grain, partition)
    wall = _wall_clock(series, partitioning.grain)
    return (wall < start) | (wall >= end)


def are_all_inside(series: pl.Series, partitioning: Partitioning, partition: str) -> bool:
    """Whether no value belongs to another partition; cheaper than `rows_outside`."""
    if series.null_count() == series.len():
        return True
    if partition == UNPLACED:
        return False
    if partitioning.grain is None:
        least = series.min()
        return value_key(str(least)) == partition and least == series.max()
    start, end = _bounds(series.dtype, partitioning.grain, partition)
    wall = _wall_clock(series, partitioning.grain)
    least, most = wall.min(), wall.max()
    return bool(start <= least and most < end)  # type: ignore[operator]


def _wall_clock(series: pl.Series, grain: Grain) -> pl.Series:
    """Return local time without a zone: in the column's own zone, or in UTC for hours."""
    if not isinstance(series.dtype, pl.Datetime) or series.dtype.time_zone is None:
        return series
    if grain is Grain.HOUR:
        series = series.dt.convert_time_zone("UTC")
    return series.dt.replace_time_zone(None)


def _bounds(dtype: pl.DataType, grain: Grain, partition: str) -> tuple[datetime, datetime]:
    start, end = partition_start(partition, grain), partition_end(partition, grain)
    if isinstance(dtype, pl.Date):
        # A column of days must be compared with days.
        return start.date(), end.date()  # type: ignore[return-value]
    return start, end
