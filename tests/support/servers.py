"""Databases that tests read: files, and a server of its own for as long as tests need it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest

from tools import postgres


class Shop(Protocol):
    """A database that somebody writes to; `holes` is how its statements take a value."""

    url: str
    hole: str
    engine: str | None

    def do(self, statement: str, *values: Any) -> None:
        """One change, committed."""

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives now."""


class SqliteShop:
    """A file in the project's folder."""

    hole = "?"
    engine: str | None = None

    def __init__(self, root: Path, mode: str = "wal") -> None:
        self.url = "sqlite:///shop.db"
        self._path = root / "shop.db"
        self.do(f"PRAGMA journal_mode={mode}")

    def do(self, statement: str, *values: Any) -> None:
        """One change, committed."""
        with self._open() as connection:
            connection.execute(statement, values)

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives now."""
        with self._open() as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


class EngineShop(SqliteShop):
    """The same file, which is read by ConnectorX."""

    engine = "connectorx"


class DuckShop:
    """A DuckDB file in the project's folder."""

    hole = "?"
    engine: str | None = None

    def __init__(self, root: Path) -> None:
        self.url = "duckdb:///shop.duckdb"
        self._path = root / "shop.duckdb"

    def do(self, statement: str, *values: Any) -> None:
        """One change, committed."""
        with duckdb.connect(self._path) as connection:
            connection.execute(statement, values)

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives now."""
        with duckdb.connect(self._path) as connection:
            return connection.execute(query).fetchall()


class PostgresShop:
    """A schema of its own on a server."""

    hole = "%s"
    engine: str | None = None

    def __init__(self, server: str, schema: str) -> None:
        import psycopg

        self._server = server
        self._psycopg = psycopg
        self.url = f"{server}&options=-csearch_path%3D{schema}"
        self.do(f"CREATE SCHEMA {schema}")

    def do(self, statement: str, *values: Any) -> None:
        """One change, committed."""
        with self._psycopg.connect(self.url) as connection:
            connection.execute(statement, values)

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives now."""
        with self._psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def postgres_server() -> Iterator[str]:
    """A server's url; the test is skipped, and says why, where none can be."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


def fill(shop: Shop, rows: Sequence[Sequence[Any]]) -> None:
    """Rows of day, id, value and version into the table `raw`, which is made."""
    shop.do("CREATE TABLE raw (day DATE, id INTEGER, value DOUBLE PRECISION, version BIGINT)")
    for row in rows:
        put(shop, *row)


def put(shop: Shop, *row: Any) -> None:
    """One row into `raw`."""
    shop.do(f"INSERT INTO raw VALUES ({', '.join([shop.hole] * len(row))})", *row)
