"""Files as an ingest stage sees them: which there are, what feeds which partition, and their rows."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.decide.check import Checker
from tidemill.decide.draft import Scan
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import SourceError, did_you_mean
from tidemill.domain.partition import UNPLACED, WHOLE
from tidemill.domain.source import SUFFIXES, Format, Source, SourceFile

_READERS: Mapping[Format, Callable[..., pl.LazyFrame]] = {
    "parquet": pl.scan_parquet,
    "csv": pl.scan_csv,
    "ndjson": pl.scan_ndjson,
    "arrow": pl.scan_ipc,
}
# A file that changes twice within the clock's grain keeps its modification time: a hint as young as
# this isn't trusted.
_SETTLED_NS = 2_000_000_000


def scan_files(
    source: Source[Any],
    contract: ContractSpec,
    root: Path,
    known: Mapping[str, SourceFile],
    now: float,
) -> Scan:
    """The files of a source as they are now; only those that seem changed are opened.

    Raises SourceError when no file matches: an empty folder is more likely a mistake than a wish to
    remove everything.
    """
    paths = sorted(glob.glob(source.pattern, root_dir=root, recursive=True))
    if not paths:
        raise SourceError(f"no file matches {source.pattern!r} in {root}; nothing was removed")
    files: dict[str, SourceFile] = {}
    broken: dict[str, str] = {}
    for path in paths:
        try:
            file = _seen(source, contract, root, path, known.get(path), now)
        except (SourceError, OSError) as error:
            broken[path] = str(error)
        else:
            if file is not None:
                files[path] = file
    return Scan(files=files, broken=broken)


def _seen(
    source: Source[Any],
    contract: ContractSpec,
    root: Path,
    path: str,
    known: SourceFile | None,
    now: float,
) -> SourceFile | None:
    stat = (root / path).stat()
    if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known
    if (root / path).is_dir():
        return None
    with (root / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    settled = stat.st_mtime_ns < now * 1e9 - _SETTLED_NS
    mtime = stat.st_mtime_ns if settled else 0
    if known and known.digest == digest:
        rows = known.rows
    else:
        rows = _rows(source, contract, root, path)
    return SourceFile(path=path, size=stat.st_size, mtime_ns=mtime, digest=digest, rows=rows)


def _rows(source: Source[Any], contract: ContractSpec, root: Path, path: str) -> dict[str, int]:
    """How many rows a file has of each partition; only the partition column is read."""
    frame = read_file(source, contract, root, path)
    cut = contract.partitioning
    try:
        if cut.is_whole:
            return {WHOLE: int(frame.select(pl.len()).collect().item())}
        counted = (
            frame.select(Checker(contract).partition_keys().alias("key"))
            .group_by("key")
            .len()
            .collect()
        )
    except PolarsError as error:
        raise SourceError(f"{path} can't be read: {error}") from error
    return {
        UNPLACED if key is None else key: rows
        for key, rows in sorted(counted.iter_rows(), key=lambda row: (row[0] is None, row[0] or ""))
    }


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
    except (PolarsError, OSError, TypeError) as error:
        raise SourceError(f"{path} can't be read as {form}: {error}") from error
    missing = [name for name in contract.names if name not in columns]
    if missing:
        advice = did_you_mean(missing[0], columns)
        raise SourceError(
            f"{path} has no column {missing[0]!r} of contract {contract.name} ({advice})"
        )
    return frame
