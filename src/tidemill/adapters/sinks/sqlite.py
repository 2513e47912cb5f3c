"""Deliver to a table of a SQLite file.

SQLite has no types for times and decimal numbers: they are stored as text (ISO 8601; timestamps with a time
zone in UTC), which sorts and compares as they do. It has no NaN: NaN becomes NULL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.sinks.table_transaction import (
    TablePlace,
    deliver_to_table,
    quoted,
    table_fault,
)
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import DELIVERIES, STAGING

# How long to wait for others that write to the file.
_BUSY_S = 10.0


class SqliteTables:
    """Delivers to tables of SQLite files."""

    batch = 0

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        path = root / effects[0].target
        opened = _opened(path, write=True)
        yield from deliver_to_table(opened, file_place(effects[0], path), effects, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return file_obstacle(root / effect.target)

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        path = root / effect.target
        if not path.is_file():
            return "" if effect.action == "remove" else f"the file {path} is gone"
        return table_fault(_opened(path, write=False), file_place(effect, path), effect, artifacts)


def file_place(effect: Effect, path: Path) -> TablePlace:
    """Return where an effect puts rows in a database file."""
    return TablePlace(
        label=str(path), table=quoted(effect.table), deliveries=DELIVERIES, name=effect.table
    )


def file_obstacle(path: Path) -> str:
    """Return why no database file can be at a path; empty if one can."""
    if "\0" in str(path):
        return "its name has a NUL character; choose another name"
    there = next(each for each in (path, *path.parents) if each.exists())
    if there == path:
        return "it is a folder; name a file in it" if path.is_dir() else ""
    return "" if there.is_dir() else f"{there} is not a folder; choose another path"


@contextmanager
def _opened(path: Path, *, write: bool) -> Iterator[_SqliteTable]:
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
