"""Read what queries of a PostgreSQL database give, in transactions that can't write."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tidemill.adapters.databases.statements import CHUNK, select
from tidemill.adapters.databases.urls import place_of, without_secrets
from tidemill.core.errors import SourceError
from tidemill.ports.sources import Within

_CONNECT_S = 10


class PostgresDatabase:
    """Tables on a server, read as they were at one moment between `begin` and `end`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.place = place_of(url)
        self._connection: Any = None
        # Steps read in threads of their own.
        self._lock = threading.RLock()
        try:
            # An extra: only who reads such a source needs it.
            self._psycopg: Any = import_module("psycopg")
        except ImportError as error:
            raise SourceError(
                f"{self.place} needs psycopg ({error}): pip install 'tidemill[postgres]'"
            ) from error

    def begin(self) -> None:
        """What is read from here on is as it is now."""
        with self._lock:
            self.end()
            with self._explained():
                # The snapshot is taken by the first statement.
                self._connected().execute("SELECT 1")

    def columns(self, query: str) -> Sequence[str]:
        """The columns that a query gives."""
        with self._lock, self._explained():
            found = self._connected().execute(f"SELECT * FROM (\n{query}\n) AS source LIMIT 0")
            return [column.name for column in found.description]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: Within | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Some columns of what a query gives, in chunks; of the rows `within`, or of all."""
        compared = '"{}"::text COLLATE "C"'
        holes = "$1", "$2"
        statement = select(
            query, columns, within, distinct=distinct, bounds=holes, compared=compared
        )
        bounds = (within.least, within.most) if within else ()
        # A cursor on the server, so that not all rows are sent at once.
        with self._lock, self._explained(), self._connected().cursor("tidemill") as found:
            found.execute(statement, bounds)
            while chunk := found.fetchmany(CHUNK):
                yield chunk

    def end(self) -> None:
        """Let go of the moment, and of the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            psycopg = self._psycopg
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=_CONNECT_S,
                application_name="tidemill",
                # `%` in a query is what it is: bounds are $1 and $2.
                cursor_factory=psycopg.RawCursor,
            )
            self._connection.server_cursor_factory = psycopg.RawServerCursor
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            # Moments come in the session's zone; the same rows are to give the same digests anywhere.
            self._connection.execute("SET LOCAL TIME ZONE 'UTC'")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            # What failed ends the transaction, and with it the moment.
            self.end()
            said = without_secrets(str(error).strip(), self._url)
            raise SourceError(f"{self.place} can't be read: {said}") from None
