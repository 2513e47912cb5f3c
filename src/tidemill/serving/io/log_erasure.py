"""Find and remove a person's rows in the files of prediction logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.io.prediction_log import write_whole
from tidemill.store.person_rows import PersonKey, column_names


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRows:
    """A file of a log: its rows of a person, and those that may be; `fault` says why it can't be read."""

    path: Path
    rows: int = 0
    doubtful: int = 0
    fault: str = ""


def find_logged_rows(folder: Path, key: PersonKey) -> Iterator[LoggedRows]:
    """Yield the files of a log that have rows of a person, or may have."""
    for path in sorted(folder.glob("*/*.parquet")):
        try:
            frame = pl.read_parquet(path, columns=key.columns(pl.read_parquet_schema(path)))
        except FileNotFoundError:
            # The server removed it meanwhile, because it is old.
            continue
        except (OSError, pl.exceptions.PolarsError) as error:
            yield LoggedRows(path=path, fault=str(error).partition("\n")[0])
            continue
        rows, doubtful = key.count(frame)
        if rows or doubtful:
            yield LoggedRows(path=path, rows=rows, doubtful=doubtful)


def logged_columns(folder: Path) -> set[str]:
    """The names of the columns, and fields of nested ones, in the files of a log that can be read."""
    found = set[str]()
    for path in folder.glob("*/*.parquet"):
        with suppress(OSError, pl.exceptions.PolarsError):
            found |= column_names(pl.read_parquet_schema(path))
    return found


def remove_logged_rows(path: Path, key: PersonKey) -> int:
    """Write a file again without a person's rows, or remove it if it has no other; return how many."""
    frame = pl.read_parquet(path)
    kept = frame.filter(~key.rows(frame.schema))
    if kept.height == frame.height:
        return 0
    if kept.height:
        write_whole(kept, path)
    else:
        path.unlink()
    return frame.height - kept.height
