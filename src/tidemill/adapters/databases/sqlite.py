"""Read the rows of queries from a SQLite file, opened read-only."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.adapters.databases.statements import CHUNK_ROWS, select_statement
from tidemill.core.errors import SourceError
from tidemill.ports.sources import ColumnRange

_DUPLICATE_SUFFIX = re.compile(r":\d+$")


class SqliteDatabase:
    """Read tables in a file; from one snapshot only in WAL mode, where readers don't block writers."""

    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        self.place = place
        self._connection: sqlite3.Connection | None = None
        # Steps in several threads share this database.
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Take a snapshot, if the file is in WAL mode."""
        with self._lock, self._translate_errors():
            self.end()
            connection = self._connect_once()
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode == "wal":
                connection.execute("BEGIN")

    def columns(self, query: str) -> Sequence[str]:
        with self._lock, self._translate_errors():
            found = self._connect_once().execute(f"SELECT * FROM (\n{query}\n) LIMIT 0")
            names = [name for name, *_ in found.description]
            # SQLite names a second `id` of a subquery `id:1`.
            return [
                _DUPLICATE_SUFFIX.sub("", n) if _DUPLICATE_SUFFIX.sub("", n) in names else n
                for n in names
            ]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: ColumnRange | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        # The bounds were compared by code points, whatever the column's collation.
        compared = '"{}" COLLATE BINARY'
        holes = "?", "?"
        statement = select_statement(
            query, columns, within, distinct=distinct, bounds=holes, text_column=compared
        )
        with self._lock, self._translate_errors():
            bounds = (within.minimum, within.maximum) if within else ()
            found = self._connect_once().execute(statement, bounds)
            while chunk := found.fetchmany(CHUNK_ROWS):
                yield chunk

    def end(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect_once(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._path.is_file():
                raise SourceError(f"{self.place}: there is no file {self._path}")
            uri = f"{self._path.resolve().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30
            )
        return self._connection

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise SourceError(f"{self.place} can't be read: {error}") from error
