"""Find and remove a person's rows in the files of prediction logs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tidemill.serving.io.prediction_log import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRows:
    """A file of a log that has rows of a person."""

    path: Path
    rows: int


def find_logged_rows(folder: Path, column: str, values: Collection[str]) -> Iterator[LoggedRows]:
    """Yield the files of a log that have one of the values, as text, in a column."""
    for path in sorted(folder.glob("*/*.parquet")):
        frame = pl.read_parquet(path, columns=None)
        count = int(frame.select(rows_of(frame, column, values).sum()).item() or 0)
        if count:
            yield LoggedRows(path=path, rows=count)


def remove_logged_rows(path: Path, column: str, values: Collection[str]) -> None:
    """Write a file again without a person's rows, or remove it if it has no other."""
    frame = pl.read_parquet(path)
    kept = frame.filter(~rows_of(frame, column, values))
    if kept.height:
        write_whole(kept, path)
    else:
        path.unlink()


def rows_of(frame: pl.DataFrame, column: str, values: Collection[str]) -> pl.Expr:
    """Whether each row of a frame has one of the values, as text, in a column that it may not have."""
    if column not in frame.columns:
        return pl.lit(value=False)
    found = pl.col(column).cast(pl.String, strict=False).is_in(list(values))
    return found.fill_null(value=False)
