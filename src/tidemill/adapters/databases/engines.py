"""Read the rows of queries through ADBC or ConnectorX, for any database they support."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
from polars import selectors

from tidemill.adapters.databases.statements import CHUNK_ROWS, select_statement
from tidemill.adapters.databases.urls import driver_message, public_location
from tidemill.core.errors import SourceError
from tidemill.ports.sources import ColumnRange

# Sends a statement and returns its rows as Arrow batches.
SendStatement: TypeAlias = Callable[[str], AbstractContextManager[Any]]

# Schemes of databases that are files, which the drivers open by path.
_FILE_SCHEMES = ("sqlite", "duckdb")


class EngineDatabase:
    """Read each query over a separate connection: there is no snapshot, and no writer is blocked."""

    def __init__(self, url: str, send: SendStatement) -> None:
        self._url = url
        self._send = send
        scheme = url.partition(":")[0]
        self._quote = "`" if scheme == "mysql" else '"'
        # Only these types compare the same everywhere: text collation and datetime literals differ
        # between databases, and SQLite has no dates.
        self._bound_types = (int,) if scheme == "sqlite" else (int, date)
        self.place = public_location(url)
        # Steps in several threads share this database.
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Do nothing: there is no snapshot."""

    def columns(self, query: str) -> Sequence[str]:
        empty = f"SELECT * FROM (\n{query}\n) AS tidemill_source WHERE 1 = 0"
        with self._lock, self._translate_errors(), self._send(empty) as found:
            return [*found.schema.names]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: ColumnRange | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        # A column may be requested twice, which a frame can't represent.
        names = [*dict.fromkeys(columns)]
        if within and type(within.minimum) not in self._bound_types:
            within = None
        bounds = (
            (_sql_literal(within.minimum), _sql_literal(within.maximum)) if within else ("", "")
        )
        statement = select_statement(
            query, names, within, distinct=distinct, bounds=bounds, quote=self._quote
        )
        with self._lock, self._translate_errors(), self._send(statement) as found:
            for batch in found:
                frame = pl.DataFrame(batch)
                # Datetimes come in the session's time zone; digests must not depend on it.
                zoned = selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
                values = frame.with_columns(zoned).to_dict(as_series=False)
                yield [*zip(*(values[name] for name in columns), strict=True)]

    def end(self) -> None:
        """Do nothing: there is no snapshot."""

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        # Each driver has its own exception classes.
        except Exception as error:  # noqa: BLE001
            # Without the driver's own traceback, whose messages may hold the password.
            message = driver_message(error, self._url)
            raise SourceError(f"{self.place} can't be read: {message}") from None


def adbc(url: str, path: Path) -> SendStatement:
    """Send statements through the ADBC driver for the url's scheme; `path` locates a database file."""
    scheme = url.partition(":")[0]
    extra = "duckdb" if scheme == "duckdb" else "adbc"
    more = "" if scheme == "duckdb" else f" adbc-driver-{scheme}"
    driver, manager, _ = _import_drivers(
        url, extra, more, f"adbc_driver_{scheme}", "adbc_driver_manager.dbapi", "pyarrow"
    )

    def connected() -> Any:
        if scheme == "duckdb":
            options = {"path": str(path), "access_mode": "READ_ONLY"}
            return manager.connect(
                driver=driver.driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=options
            )
        dbapi: Any = import_module(f"adbc_driver_{scheme}.dbapi")
        return dbapi.connect(str(path) if scheme in _FILE_SCHEMES else url)

    @contextmanager
    def send(statement: str) -> Iterator[Any]:
        _require_file(url, path)
        with closing(connected()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            with cursor.fetch_record_batch() as found:
                yield found

    return send


def connectorx(url: str, path: Path) -> SendStatement:
    """Send statements through ConnectorX; `path` locates a database file."""
    engine, _ = _import_drivers(url, "connectorx", "", "connectorx", "pyarrow")
    target = f"sqlite://{path}" if url.startswith("sqlite:") else url

    def send(statement: str) -> AbstractContextManager[Any]:
        _require_file(url, path)
        found = engine.read_sql(
            target, statement, return_type="arrow_stream", batch_size=CHUNK_ROWS
        )
        return nullcontext(found)

    return send


def _import_drivers(url: str, extra: str, extra_packages: str, *modules: str) -> list[Any]:
    try:
        # Optional dependencies: only projects with such a source need them.
        return [import_module(name) for name in modules]
    except ImportError as error:
        raise SourceError(
            f"{public_location(url)} needs {error.name} ({error}): "
            f"pip install 'tidemill[{extra}]'{extra_packages}"
        ) from error


def _require_file(url: str, path: Path) -> None:
    """Raise SourceError for a missing database file, which drivers would create."""
    if url.startswith(tuple(f"{scheme}:" for scheme in _FILE_SCHEMES)) and not path.is_file():
        raise SourceError(f"{public_location(url)}: there is no file {path}")


def _sql_literal(value: int | date) -> str:
    return str(value) if isinstance(value, int) else f"CAST('{value}' AS DATE)"
