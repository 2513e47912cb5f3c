"""Count the rows of files by partition, to know which partitions each file feeds.

If a file feeds several partitions, the rows of each are digested as well: when the file changes, only those
partitions are read again whose rows changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.hashing.column_hash import FrameHasher
from tidemill.contracts.checks.partition_column import (
    common_key,
    raw_partition_keys,
    sort_by_partition,
)
from tidemill.contracts.checks.schema import polars_type
from tidemill.core.errors import ContractError, SourceError
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.sources.io.file_readers import (
    READ_ERRORS,
    contract_of_files,
    format_of,
    load_file,
    parquet_schema,
    read_file,
    reading,
)
from tidemill.sources.io.file_root import FileRoot
from tidemill.sources.scan import FileRows
from tidemill.workflow.source import Files
from tidemill.workflow.stage import Stage

# The number of files read at once, so that their partition columns fit in memory.
_TOGETHER = 64
_PATH = "\0path"
# Up to so many bytes of files are read at once, if they are read completely.
_IN_MEMORY = 64 << 20

# Larger files aren't read as a whole before a run: their partitions are read again whenever they change.
_MAX_DIGESTED = 1 << 30


def count_rows(
    source: Files[Any],
    stage: Stage,
    root: FileRoot,
    paths: Sequence[str],
    *,
    read_all: bool = False,
) -> dict[str, FileRows | SourceError]:
    """Count the rows of each file by partition; the value is the error for a file that can't be read.

    Only the partition column is read if a file holds one partition, and many files at once if each holds one
    by time. With `read_all` files are read completely nevertheless, to see whether they can be.
    """
    found: dict[str, FileRows | SourceError] = {}
    for first in range(0, len(paths), _TOGETHER):
        some = paths[first : first + _TOGETHER]
        found.update(_count_together(source, stage, root, some, read_all))
    for path in paths:
        if path not in found:
            try:
                found[path] = _count_one(source, stage, root, path, read_all)
            except SourceError as error:
                found[path] = error
    return found


def _count_together(
    source: Files[Any], stage: Stage, root: FileRoot, paths: Sequence[str], read_all: bool
) -> dict[str, FileRows]:
    """Count Parquet files whose minimum and maximum lie in one partition; other files are left out."""
    assert stage.output is not None
    cut = stage.output.partitioning
    # Of a renamed column, the name in the files isn't the one that is counted by.
    if not cut.is_time or source.options or any(column.source for column in stage.output.columns):
        return {}
    dtype = polars_type(stage.output.column(cut.column).dtype)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        # If the clock goes back across midnight, minimum and maximum don't determine the partition.
        return {}
    alike = {str(root / path): path for path in paths if _is_plain(source, stage, root, path)}
    if len(alike) < 2 or (read_all and sum(map(os.path.getsize, alike)) > _IN_MEMORY):
        return {}
    column = pl.col(cut.column)
    ends = (
        column.min().alias("first"),
        column.max().alias("last"),
        column.null_count().alias("nulls"),
    )
    try:
        scan = pl.scan_parquet(
            [*alike], glob=False, hive_partitioning=False, include_file_paths=_PATH
        )
        if read_all:
            scan = scan.collect().lazy()
        counted = scan.select(_PATH, column).group_by(_PATH).agg(*ends, pl.len().alias("rows"))
        table = counted.collect()
    except (PolarsError, PanicException):
        return {}  # reading them one by one finds the broken file
    first, last = (
        raw_partition_keys(table[name], dtype, cut).to_list() for name in ("first", "last")
    )
    rows = zip(table[_PATH], first, last, table["nulls"], table["rows"], strict=True)
    return {
        alike[path]: FileRows(rows={a: count})
        for path, a, b, nulls, count in rows
        if a == b and not nulls
    }


def _is_plain(source: Files[Any], stage: Stage, root: FileRoot, path: str) -> bool:
    """Whether a file is Parquet with the contract's columns, and a partition column of the right type."""
    assert stage.output is not None
    cut = stage.output.partitioning
    try:
        if format_of(source, path) != "parquet":
            return False
        schema: Mapping[str, pl.DataType] = parquet_schema(root / path)
    except (SourceError, PolarsError, PanicException, OSError):
        return False
    own = polars_type(stage.output.column(cut.column).dtype)
    return schema.get(cut.column) == own and all(
        name in schema for name in stage.output.required_columns
    )


def _count_one(
    source: Files[Any], stage: Stage, root: FileRoot, path: str, read_all: bool
) -> FileRows:
    contract = stage.output
    assert contract is not None
    frame = read_file(source, contract, root, path)
    if read_all:
        frame = _read_whole(frame, (root / path).stat().st_size)
    cut = contract.partitioning
    with reading(path):
        if cut.is_whole:
            return FileRows(rows={WHOLE: int(frame.select(pl.len()).collect().item())})
        column = frame.select(cut.column).collect().to_series()
    dtype = polars_type(contract.column(cut.column).dtype)
    # The common case: the file holds one partition.
    only = common_key(column, cut) if column.dtype == dtype else None
    if only is not None:
        return FileRows(rows={only: column.len()})
    text = contract_of_files(source, contract, [path]).column(cut.column).text
    keys = raw_partition_keys(column, dtype, cut, text)
    if keys.n_unique() > 1 and (root / path).stat().st_size <= _MAX_DIGESTED:
        if format_of(source, path) == "csv":
            # Lines with too many fields are rows as well.
            frame = load_file(source, contract, root, path, parse=False).rows
        return _digest_parts(frame, keys, path)
    counted = {UNPLACED if key is None else key: rows for key, rows in keys.value_counts().rows()}
    return FileRows(rows=dict(sorted(counted.items())))


def _read_whole(frame: pl.LazyFrame, size: int) -> pl.LazyFrame:
    """Read a file of `size` bytes completely, and return its frame, in memory if it is small."""
    try:
        if size <= _IN_MEMORY:
            return frame.collect().lazy()
        for _ in frame.collect_batches():
            pass
    except READ_ERRORS:
        pass  # a step that needs what can't be read says so
    return frame


def _digest_parts(frame: pl.LazyFrame, keys: pl.Series, path: str) -> FileRows:
    """Count and digest the rows of each partition of a file; no digests for types without stable bytes."""
    with reading(path):
        ordered, places = sort_by_partition(frame.collect(), keys)
    rows = {key: length for key, (_, length) in places.items()}
    try:
        digests = FrameHasher(ordered.schema).digests(ordered, [*rows.values()])
    except ContractError:
        return FileRows(rows=rows)
    return FileRows(rows=rows, parts=dict(zip(rows, digests, strict=True)))
