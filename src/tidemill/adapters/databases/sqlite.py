"""Read the rows of queries from a SQLite file, opened read-only."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.adapters.databases.statements import CHUNK, select
from tidemill.core.errors import SourceError
from tidemill.ports.sources import Within

_RENAMED = re.compile(r":\d+$")


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
        with self._lock, self._explained():
            self.end()
            connection = self._connected()
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode == "wal":
                connection.execute("BEGIN")

    def columns(self, query: str) -> Sequence[str]:
        with self._lock, self._explained():
            found = self._connected().execute(f"SELECT * FROM (\n{query}\n) LIMIT 0")
            names = [name for name, *_ in found.description]
            # SQLite names a second `id` of a subquery `id:1`.
            return [_RENAMED.sub("", n) if _RENAMED.sub("", n) in names else n for n in names]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: Within | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        # The bounds were compared by code points, whatever the column's collation.
        compared = '"{}" COLLATE BINARY'
        holes = "?", "?"
        statement = select(
            query, columns, within, distinct=distinct, bounds=holes, compared=compared
        )
        with self._lock, self._explained():
            bounds = (within.least, within.most) if within else ()
            found = self._connected().execute(statement, bounds)
            while chunk := found.fetchmany(CHUNK):
                yield chunk

    def end(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._path.is_file():
                raise SourceError(f"{self.place}: there is no file {self._path}")
            uri = f"{self._path.resolve().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30
            )
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise SourceError(f"{self.place} can't be read: {error}") from error
