"""Read the files of an ingest stage: their rows, and how many there are of each partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.decide.cut import only_key, raw_keys
from tidemill.decide.schema import polars_type
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import SourceError, did_you_mean
from tidemill.domain.partition import UNPLACED, WHOLE
from tidemill.domain.source import SUFFIXES, Format, Source
from tidemill.domain.stage import Stage

_READERS: Mapping[Format, Callable[..., pl.LazyFrame]] = {
    "parquet": pl.scan_parquet,
    "csv": pl.scan_csv,
    "ndjson": pl.scan_ndjson,
    "arrow": pl.scan_ipc,
}


def count_rows(source: Source[Any], stage: Stage, root: Path, path: str) -> dict[str, int]:
    """How many rows a file has of each partition; only the partition column is read."""
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
    # Mostly a file holds one partition.
    only = only_key(column, cut) if column.dtype == dtype else None
    if only is not None:
        return {only: column.len()}
    keys = raw_keys(column, dtype, cut)
    counted = {key: rows for key, rows in keys.value_counts().iter_rows()}
    placed = {key: counted[key] for key in sorted(key for key in counted if key is not None)}
    return {**placed, UNPLACED: counted[None]} if None in counted else placed


def read_file(source: Source[Any], contract: ContractSpec, root: Path, path: str) -> pl.LazyFrame:
    """The rows of one file, checked to have the contract's columns; SourceError names the file."""
    form = source.format or SUFFIXES.get(Path(path).suffix.lower())
    if form is None:
        raise SourceError(
            f"{path}: the suffix tells no format; say format= one of {', '.join(sorted(_READERS))}"
        )
    try:
        frame = _READERS[form](root / path, **source.options)
        columns = frame.collect_schema().names()
    except (PolarsError, PanicException, OSError, TypeError) as error:
        raise SourceError(f"{path} can't be read as {form}: {error}") from error
    missing = [name for name in contract.names if name not in columns]
    if missing:
        advice = did_you_mean(missing[0], columns)
        raise SourceError(
            f"{path} has no column {missing[0]!r} of contract {contract.name} ({advice})"
        )
    return frame
