"""Deliver to a table of a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.adapters.sinks.database_file import DatabaseFileTables
from tidemill.adapters.sinks.nested_types import instance, plain_type, replace_types
from tidemill.adapters.sinks.table_transaction import TableDatabase, quoted
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import StorageError
from tidemill.core.extras import install_command
from tidemill.ledger.delivery import Effect
from tidemill.workflow.sink import STAGING

_TYPES: Mapping[str, str] = {
    "Int8": "TINYINT", "Int16": "SMALLINT", "Int32": "INTEGER", "Int64": "BIGINT",
    "UInt8": "UTINYINT", "UInt16": "USMALLINT", "UInt32": "UINTEGER", "UInt64": "UBIGINT",
    "Float32": "FLOAT", "Float64": "DOUBLE", "Boolean": "BOOLEAN", "Binary": "BLOB",
    "Date": "DATE", "Time": "TIME", "Duration": "INTERVAL",
}  # fmt: skip


class DuckdbTables(DatabaseFileTables):
    """Delivers to tables of DuckDB files."""

    def open_file(self, path: Path, *, write: bool) -> AbstractContextManager[TableDatabase]:
        return _open_file(path, write=write)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return missing_library("duckdb", "duckdb", "pyarrow") or super().find_obstacle(effect, root)


def missing_library(extra: str, *modules: str) -> str:
    """Return how to install the libraries of an extra if one is missing; empty if none is."""
    for module in modules:
        if find_spec(module) is None:
            return f"{module} isn't installed; pip install 'tidemill[{extra}]'"
    return ""


@contextmanager
def _open_file(path: Path, *, write: bool) -> Iterator[_DuckdbTable]:
    try:
        # An optional dependency: only projects with such a sink need it.
        duckdb: Any = import_module("duckdb")
    except ImportError as error:
        raise StorageError(f"{path} needs duckdb: {install_command('duckdb')}") from error
    try:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=not write)
    except (duckdb.Error, OSError) as error:
        raise StorageError(f"{path} can't be opened: {_first_line(error)}") from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        yield _DuckdbTable(connection)
        connection.execute("COMMIT")
    # A value that Python has no type for, which somebody else wrote, raises the others.
    except (duckdb.Error, ValueError, OverflowError) as error:
        action = "written" if write else "read"
        raise StorageError(f"{path} can't be {action}: {_first_line(error)}") from error
    finally:
        # What wasn't committed is rolled back.
        connection.close()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class _DuckdbTable:
    mark = "?"
    limits = Limits()

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        found: Sequence[tuple[Any, ...]] = self._connection.execute(statement, [*values]).fetchall()
        return found

    def columns(self, table: str) -> Mapping[str, str]:
        name = table[1:-1].replace('""', '"') if table.startswith('"') else table
        found = self.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? "
            "AND schema_name = 'main' AND database_name IN (current_database(), 'temp')",
            (name,),
        )
        return {str(column): str(kind) for column, kind in found}

    def sql_type(self, dtype: pl.DataType) -> str:
        match dtype:
            case pl.Decimal():
                return f"DECIMAL({dtype.precision}, {dtype.scale})"
            case pl.Datetime():
                return "TIMESTAMP" if dtype.time_zone is None else "TIMESTAMP WITH TIME ZONE"
            case pl.List():
                return f"{self.sql_type(instance(dtype.inner))}[]"
            case pl.Array():
                return f"{self.sql_type(instance(dtype.inner))}[{dtype.size}]"
            case pl.Struct():
                parts = (
                    f"{quoted(f.name)} {self.sql_type(instance(f.dtype))}" for f in dtype.fields
                )
                return f"STRUCT({', '.join(parts)})"
        return _TYPES.get(type(dtype).__name__, "VARCHAR")

    def stored(self, frame: pl.DataFrame) -> pl.DataFrame:
        return replace_types(frame, plain_type)

    def load(self, columns: Sequence[str], frame: pl.DataFrame) -> None:
        names = ", ".join(map(quoted, columns))
        self._connection.register("tidemill_rows", frame.to_arrow())
        self._connection.execute(
            f"INSERT INTO {STAGING} ({names}) SELECT {names} FROM tidemill_rows"
        )
        self._connection.unregister("tidemill_rows")
