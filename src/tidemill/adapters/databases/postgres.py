"""Read the rows of queries from PostgreSQL, in read-only transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tidemill.adapters.databases.statements import CHUNK_ROWS, select_statement
from tidemill.adapters.databases.urls import driver_message, public_location
from tidemill.core.errors import SourceError
from tidemill.ports.sources import ColumnRange

_CONNECT_TIMEOUT_S = 10


class PostgresDatabase:
    """Read tables on a server from one snapshot between `begin` and `end`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.place = public_location(url)
        self._connection: Any = None
        # Steps in several threads share this database.
        self._lock = threading.RLock()
        try:
            # An optional dependency: only projects with such a source need it.
            self._psycopg: Any = import_module("psycopg")
        except ImportError as error:
            raise SourceError(
                f"{self.place} needs psycopg ({error}): pip install 'tidemill[postgres]'"
            ) from error

    def begin(self) -> None:
        with self._lock:
            self.end()
            with self._translate_errors():
                # The first statement takes the snapshot.
                self._connect_once().execute("SELECT 1")

    def columns(self, query: str) -> Sequence[str]:
        with self._lock, self._translate_errors():
            found = self._connect_once().execute(f"SELECT * FROM (\n{query}\n) AS source LIMIT 0")
            return [column.name for column in found.description]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: ColumnRange | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        compared = '"{}"::text COLLATE "C"'
        holes = "$1", "$2"
        statement = select_statement(
            query, columns, within, distinct=distinct, bounds=holes, text_column=compared
        )
        bounds = (within.minimum, within.maximum) if within else ()
        # A server-side cursor, so that the rows aren't all sent at once.
        with self._lock, self._translate_errors(), self._connect_once().cursor("tidemill") as found:
            found.execute(statement, bounds)
            while chunk := found.fetchmany(CHUNK_ROWS):
                yield chunk

    def end(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connect_once(self) -> Any:
        if self._connection is None:
            psycopg = self._psycopg
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="tidemill",
                # Bounds are $1 and $2, so that `%` in a query needs no escaping.
                cursor_factory=psycopg.RawCursor,
            )
            self._connection.server_cursor_factory = psycopg.RawServerCursor
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            # Datetimes come in the session's time zone; digests must not depend on it.
            self._connection.execute("SET LOCAL TIME ZONE 'UTC'")
        return self._connection

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            # An error ends the transaction, and the snapshot with it.
            self.end()
            message = driver_message(error, self._url)
            raise SourceError(f"{self.place} can't be read: {message}") from None
