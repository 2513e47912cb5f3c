"""Deliver to a table of a SQLite file.

SQLite has no types for times and decimal numbers: they are stored as text (ISO 8601; timestamps with a time
zone in UTC), which sorts and compares as they do. It has no NaN: NaN becomes NULL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.sinks.database_file import DatabaseFileTables
from tidemill.adapters.sinks.table_transaction import TableDatabase, quoted
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import StorageError
from tidemill.workflow.sink import STAGING

# How long to wait for others that write to the file.
_BUSY_S = 10.0


class SqliteTables(DatabaseFileTables):
    """Delivers to tables of SQLite files."""

    def open_file(self, path: Path, *, write: bool) -> AbstractContextManager[TableDatabase]:
        return _open_file(path, write=write)


@contextmanager
def _open_file(path: Path, *, write: bool) -> Iterator[_SqliteTable]:
    try:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{path} can't be opened: {error}") from error
    try:
        # A reader must not see a part of a transaction, nor a writer wait at its end.
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        yield _SqliteTable(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StorageError(f"{path} can't be {'written' if write else 'read'}: {error}") from error
    finally:
        # What wasn't committed is rolled back.
        connection.close()


class _SqliteTable:
    mark = "?"
    limits = Limits(nanoseconds=True)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def columns(self, table: str) -> Mapping[str, str]:
        # `table_info` takes no name in quotes, other than as a value.
        name = table[1:-1].replace('""', '"') if table.startswith('"') else table
        found = self.execute("SELECT name, type FROM pragma_table_info(?)", (name,))
        return {str(column): str(kind).upper() for column, kind in found}

    def sql_type(self, dtype: pl.DataType) -> str:
        if dtype.is_integer() or dtype == pl.Boolean:
            return "INTEGER"
        if dtype.is_float():
            return "REAL"
        return "BLOB" if dtype == pl.Binary else "TEXT"

    def stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(_stored(name, dtype) for name, dtype in frame.schema.items())

    def load(self, columns: Sequence[str], frame: pl.DataFrame) -> None:
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        statement = f"INSERT INTO {STAGING} ({names}) VALUES ({marks})"
        self._connection.executemany(statement, frame.iter_rows())


def _stored(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean:
        return column.cast(pl.Int8)
    if dtype.is_float():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
        return column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00")
    if dtype == pl.Date:
        return column.dt.strftime("%Y-%m-%d")
    if dtype == pl.Time:
        return column.dt.strftime("%H:%M:%S%.9f")
    return column if dtype.is_integer() or dtype == pl.Binary else column.cast(pl.String)
