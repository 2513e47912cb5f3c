"""Read files completely, and report each: the program that `first_look` starts where it can't fork.

A line of its input is a JSON list of (format, path, options), and it answers with a line for each file. It
imports nothing of Tidemill, so that it starts as fast as Polars does.
"""

from __future__ import annotations

import glob
import json
import resource
import sys
from collections.abc import Mapping
from typing import IO, Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

_SCANS = {
    "parquet": lambda path, options: pl.scan_parquet(path, glob=False, **options),
    "csv": lambda path, options: pl.scan_csv(path, glob=False, **options),
    "ndjson": lambda path, options: pl.scan_ndjson(glob.escape(path), **options),
    "arrow": lambda path, options: pl.scan_ipc(path, glob=False, **options),
}


def read_whole(form: str, path: str, options: Mapping[str, Any]) -> None:
    """Read a file in portions and forget it; that it can't be read is found by those who need it."""
    try:
        for _ in _SCANS[form](path, options).collect_batches():
            pass
    except (PolarsError, PanicException, OSError, TypeError, ValueError):
        return


def forbid_core_dumps() -> None:
    """Let this process leave no copy of its memory when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are none."""
    forbid_core_dumps()
    for line in requests:
        for form, path, options in json.loads(line):
            read_whole(form, path, options)
            answers.write("done\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
