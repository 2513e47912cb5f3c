"""Read files completely, and report each: the program that `first_look` starts where it can't fork.

A line of its input is a JSON list of (format, path, options), and it answers with a line for each list. It
imports nothing of Tidemill, so that it starts as fast as Polars does.
"""

from __future__ import annotations

import glob
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import IO, Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

_IN_MEMORY = 64 << 20
_SCANS: Mapping[str, Callable[..., pl.LazyFrame]] = {
    "parquet": lambda path, **options: pl.scan_parquet(path, glob=False, **options),
    "csv": lambda path, **options: pl.scan_csv(path, glob=False, **options),
    "ndjson": lambda path, **options: pl.scan_ndjson(glob.escape(path), **options),
    "arrow": lambda path, **options: pl.scan_ipc(path, glob=False, **options),
}


def read_whole(form: str, path: str, options: Mapping[str, Any]) -> None:
    """Read a file in portions and forget it; that it can't be read is found by those who need it.

    `form` is the name of a format, or "pyarrow" for a Parquet file that pyarrow will read.
    """
    try:
        batches = (
            import_module("pyarrow.parquet").ParquetFile(path).iter_batches()
            if form == "pyarrow"
            else _SCANS[form](path, **options).collect_batches()
        )
        for _ in batches:
            pass
    except (PolarsError, PanicException, OSError, TypeError, ValueError, ImportError):
        return  # errors of pyarrow are OSErrors and ValueErrors


def read_together(files: Sequence[Sequence[Any]]) -> bool:
    """Whether files are small Parquet files with the same columns, which were read by one query."""
    paths = [path for form, path, options in files if form == "parquet" and not options]
    try:
        if len(paths) < len(files) or sum(map(os.path.getsize, paths)) > _IN_MEMORY:
            return False
        pl.scan_parquet(paths, glob=False, hive_partitioning=False).collect()
    except (PolarsError, PanicException, OSError):
        return False
    return True


def forbid_core_dumps() -> None:
    """Let this process leave no copy of its memory when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(requests: IO[str], answers: IO[str]) -> None:
    """Answer each request when its files are read, until there are none."""
    forbid_core_dumps()
    for line in requests:
        files = json.loads(line)
        if not read_together(files):
            for form, path, options in files:
                read_whole(form, path, options)
        answers.write("done\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
