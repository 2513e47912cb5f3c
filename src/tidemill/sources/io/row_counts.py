"""Count the rows of files by partition, to know which partitions each file feeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.contracts.checks.partition_column import common_key, raw_partition_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import SourceError
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.sources.io.file_readers import format_of, read_file
from tidemill.workflow.source import Files
from tidemill.workflow.stage import Stage

# The number of files read at once, so that their partition columns fit in memory.
_TOGETHER = 64
_PATH = "\0path"

RowCounts = dict[str, int]


def count_rows(
    source: Files[Any], stage: Stage, root: Path, paths: Sequence[str]
) -> dict[str, RowCounts | SourceError]:
    """Count the rows of each file by partition; the value is the error for a file that can't be read.

    Only the partition column is read, and many files at once if each holds one partition by time.
    """
    found: dict[str, RowCounts | SourceError] = {}
    for first in range(0, len(paths), _TOGETHER):
        found.update(_count_together(source, stage, root, paths[first : first + _TOGETHER]))
    for path in paths:
        if path not in found:
            try:
                found[path] = _count_one(source, stage, root, path)
            except SourceError as error:
                found[path] = error
    return found


def _count_together(
    source: Files[Any], stage: Stage, root: Path, paths: Sequence[str]
) -> dict[str, RowCounts]:
    """Count Parquet files whose minimum and maximum lie in one partition; other files are left out."""
    assert stage.output is not None
    cut = stage.output.partitioning
    if not cut.is_time or source.options:
        return {}
    dtype = polars_type(stage.output.column(cut.column).dtype)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        # If the clock goes back across midnight, minimum and maximum don't determine the partition.
        return {}
    alike = {str(root / path): path for path in paths if _is_plain(source, stage, root, path)}
    if len(alike) < 2:
        return {}
    column = pl.col(cut.column)
    ends = (
        column.min().alias("first"),
        column.max().alias("last"),
        column.null_count().alias("nulls"),
    )
    try:
        table = (
            pl.scan_parquet([*alike], glob=False, hive_partitioning=False, include_file_paths=_PATH)
            .select(_PATH, column)
            .group_by(_PATH)
            .agg(*ends, pl.len().alias("rows"))
            .collect()
        )
    except (PolarsError, PanicException):
        return {}  # reading them one by one finds the broken file
    first, last = (
        raw_partition_keys(table[name], dtype, cut).to_list() for name in ("first", "last")
    )
    rows = zip(table[_PATH], first, last, table["nulls"], table["rows"], strict=True)
    return {alike[path]: {a: count} for path, a, b, nulls, count in rows if a == b and not nulls}


def _is_plain(source: Files[Any], stage: Stage, root: Path, path: str) -> bool:
    """Whether a file is Parquet with the contract's columns, and a partition column of the right type."""
    assert stage.output is not None
    cut = stage.output.partitioning
    try:
        if format_of(source, path) != "parquet":
            return False
        schema: Mapping[str, pl.DataType] = pl.read_parquet_schema(root / path)
    except (SourceError, PolarsError, PanicException, OSError):
        return False
    own = polars_type(stage.output.column(cut.column).dtype)
    return schema.get(cut.column) == own and all(
        name in schema for name in stage.output.required_columns
    )


def _count_one(source: Files[Any], stage: Stage, root: Path, path: str) -> RowCounts:
    contract = stage.output
    assert contract is not None
    frame = read_file(source, contract, root, path)
    cut = contract.partitioning
    try:
        if cut.is_whole:
            return {WHOLE: int(frame.select(pl.len()).collect().item())}
        column = frame.select(cut.column).collect().to_series()
    except (PolarsError, PanicException) as error:
        raise SourceError(f"{path} can't be read: {error}") from error
    dtype = polars_type(contract.column(cut.column).dtype)
    # The common case: the file holds one partition.
    only = common_key(column, cut) if column.dtype == dtype else None
    if only is not None:
        return {only: column.len()}
    keys = raw_partition_keys(column, dtype, cut)
    counted = {key: rows for key, rows in keys.value_counts().iter_rows()}
    placed = {key: counted[key] for key in sorted(key for key in counted if key is not None)}
    return {**placed, UNPLACED: counted[None]} if None in counted else placed
