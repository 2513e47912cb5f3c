"""Deliver to a table of a PostgreSQL database: COPY into a staging table, then replace the partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.databases.urls import driver_message, public_location, resolve_url
from tidemill.adapters.sinks.duckdb import missing_library
from tidemill.adapters.sinks.nested_types import instance, plain_type, replace_types
from tidemill.adapters.sinks.table_transaction import (
    TablePlace,
    deliver_to_table,
    quoted,
    table_fault,
)
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import SourceError, StorageError
from tidemill.core.extras import install_command
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import DELIVERIES, STAGING, table_parts

_CONNECT_TIMEOUT_S = 10
# PostgreSQL cuts longer names off without an error.
_LONGEST_NAME = 63
_TYPES: Mapping[str, str] = {
    "Int8": "smallint", "Int16": "smallint", "Int32": "integer", "Int64": "bigint",
    "UInt8": "smallint", "UInt16": "integer", "UInt32": "bigint", "UInt64": "numeric(20,0)",
    "Float32": "real", "Float64": "double precision", "Boolean": "boolean", "Binary": "bytea",
    "Date": "date", "Time": "time", "Duration": "interval",
}  # fmt: skip


class PostgresTables:
    """Delivers to tables of PostgreSQL databases."""

    batch = 0

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        url, place = _located(effects[0])
        opened = _open_table(url, place, write=True)
        yield from deliver_to_table(opened, place, effects, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        if missing := missing_library("postgres", "psycopg"):
            return missing
        name = table_parts("postgres", effect.table)[-1]
        if len(name.encode()) > _LONGEST_NAME:
            return f"the name {name!r} is longer than {_LONGEST_NAME} bytes; choose a shorter one"
        try:
            resolve_url(effect.target)
        except SourceError as error:
            return str(error)
        return ""

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        url, place = _located(effect)
        return table_fault(_open_table(url, place, write=False), place, effect, artifacts)


def _located(effect: Effect) -> tuple[str, TablePlace]:
    try:
        url = resolve_url(effect.target)
    except SourceError as error:
        raise StorageError(str(error)) from None
    parts = table_parts("postgres", effect.table)
    schema = "".join(f"{quoted(name)}." for name in parts[:-1])
    return url, TablePlace(
        label=public_location(url),
        table=f"{schema}{quoted(parts[-1])}",
        deliveries=f"{schema}{DELIVERIES}",
        name=effect.table,
    )


@contextmanager
def _open_table(url: str, place: TablePlace, *, write: bool) -> Iterator[_PostgresTable]:
    try:
        # An optional dependency: only projects with such a sink need it.
        psycopg: Any = import_module("psycopg")
    except ImportError as error:
        message = f"{place.label} needs psycopg: {install_command('psycopg')}"
        raise StorageError(message) from error
    action = "opened"
    try:
        # It commits at the end of the block, and rolls back after an error.
        with psycopg.connect(
            url,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name="tidemill",
            cursor_factory=psycopg.RawCursor,
        ) as connection:
            action = "written" if write else "read"
            connection.execute("SET LOCAL TIME ZONE 'UTC'")
            if write:
                # Deliveries of several runs come one after the other.
                connection.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", (place.name,)
                )
            yield _PostgresTable(connection)
    except (psycopg.Error, ValueError, OverflowError) as error:
        message = driver_message(error, url).partition("\n")[0]
        # Without the driver's own traceback, whose messages may hold the password.
        raise StorageError(f"{place.label} can't be {action}: {message}") from None


class _PostgresTable:
    # No name of a table has it; it becomes $1, $2, so that a `%` in a name needs no escaping.
    mark = "\0"
    limits = Limits(nul_in_text=False)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        first, *parts = statement.split(self.mark)
        numbered = "".join(f"${number}{part}" for number, part in enumerate(parts, 1))
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(first + numbered, values or None)
            found: Sequence[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return found

    def columns(self, table: str) -> Mapping[str, str]:
        found = self.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(\0) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        )
        return {str(column): str(kind) for column, kind in found}

    def sql_type(self, dtype: pl.DataType) -> str:
        match dtype:
            case pl.Decimal():
                return f"numeric({dtype.precision},{dtype.scale})"
            case pl.Datetime():
                return "timestamp" if dtype.time_zone is None else "timestamptz"
            case pl.List():
                return f"{self.sql_type(instance(dtype.inner))}[]"
        return _TYPES.get(type(dtype).__name__, "text")

    def stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        return replace_types(frame, plain_type)

    def load(self, columns: Sequence[str], frame: pl.DataFrame) -> None:
        names = ", ".join(map(quoted, columns))
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {STAGING} ({names}) FROM STDIN") as copy,
        ):
            for row in frame.iter_rows():
                copy.write_row(row)
