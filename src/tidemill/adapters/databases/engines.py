"""Read what queries of any database give that Polars reads, by ADBC or ConnectorX."""

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

from tidemill.adapters.databases.statements import CHUNK, select
from tidemill.adapters.databases.urls import place_of, without_secrets
from tidemill.core.errors import SourceError
from tidemill.ports.sources import Within

# Sends a statement, and gives batches of Arrow.
Send: TypeAlias = Callable[[str], AbstractContextManager[Any]]

# Files, which these drivers take by their paths.
_FILES = ("sqlite", "duckdb")


class EngineDatabase:
    """Tables that are read by a connection of its own each time: no moment is kept, and nobody held up."""

    def __init__(self, url: str, send: Send) -> None:
        self._url = url
        self._send = send
        scheme = url.partition(":")[0]
        self._quote = "`" if scheme == "mysql" else '"'
        # Text is compared in many ways, and moments are written in as many. SQLite has no dates.
        self._bounds = (int,) if scheme == "sqlite" else (int, date)
        self.place = place_of(url)
        # Steps read in threads of their own.
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Nothing is kept."""

    def columns(self, query: str) -> Sequence[str]:
        """The columns that a query gives."""
        none = f"SELECT * FROM (\n{query}\n) AS tidemill_source WHERE 1 = 0"
        with self._lock, self._explained(), self._send(none) as found:
            return [*found.schema.names]

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: Within | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Some columns of what a query gives, in chunks; of the rows `within`, or of all."""
        # A column may be asked for twice, which a frame can't have.
        names = [*dict.fromkeys(columns)]
        if within and type(within.least) not in self._bounds:
            within = None
        bounds = (_written(within.least), _written(within.most)) if within else ("", "")
        statement = select(
            query, names, within, distinct=distinct, bounds=bounds, quote=self._quote
        )
        with self._lock, self._explained(), self._send(statement) as found:
            for batch in found:
                frame = pl.DataFrame(batch)
                # Moments come in the session's zone; the same rows are to give the same digests anywhere.
                zoned = selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
                given = frame.with_columns(zoned).to_dict(as_series=False)
                yield [*zip(*(given[name] for name in columns), strict=True)]

    def end(self) -> None:
        """Nothing is kept."""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        # Drivers have errors of their own, each.
        except Exception as error:
            said = without_secrets(str(error).strip(), self._url)
            raise SourceError(f"{self.place} can't be read: {said}") from error


def adbc(url: str, path: Path) -> Send:
    """Statements by the ADBC driver that has the name of the url's scheme; `path` is where a file is."""
    scheme = url.partition(":")[0]
    extra = "duckdb" if scheme == "duckdb" else "adbc"
    more = "" if scheme == "duckdb" else f" adbc-driver-{scheme}"
    driver, manager, _ = _imported(
        url, extra, more, f"adbc_driver_{scheme}", "adbc_driver_manager.dbapi", "pyarrow"
    )

    def connected() -> Any:
        if scheme == "duckdb":
            given = {"path": str(path), "access_mode": "READ_ONLY"}
            return manager.connect(
                driver=driver.driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=given
            )
        dbapi: Any = import_module(f"adbc_driver_{scheme}.dbapi")
        return dbapi.connect(str(path) if scheme in _FILES else url)

    @contextmanager
    def send(statement: str) -> Iterator[Any]:
        _refuse_absent(url, path)
        with closing(connected()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            with cursor.fetch_record_batch() as found:
                yield found

    return send


def connectorx(url: str, path: Path) -> Send:
    """Statements by ConnectorX; `path` is where a file is."""
    engine, _ = _imported(url, "connectorx", "", "connectorx", "pyarrow")
    given = f"sqlite://{path}" if url.startswith("sqlite:") else url

    def send(statement: str) -> AbstractContextManager[Any]:
        _refuse_absent(url, path)
        found = engine.read_sql(given, statement, return_type="arrow_stream", batch_size=CHUNK)
        return nullcontext(found)

    return send


def _imported(url: str, extra: str, more: str, *names: str) -> list[Any]:
    try:
        # Extras: only who reads such a source needs them.
        return [import_module(name) for name in names]
    except ImportError as error:
        raise SourceError(
            f"{place_of(url)} needs {error.name} ({error}): pip install 'tidemill[{extra}]'{more}"
        ) from error


def _refuse_absent(url: str, path: Path) -> None:
    """Drivers make a file where there is none."""
    if url.startswith(tuple(f"{scheme}:" for scheme in _FILES)) and not path.is_file():
        raise SourceError(f"{place_of(url)}: there is no file {path}")


def _written(value: int | date) -> str:
    return str(value) if isinstance(value, int) else f"CAST('{value}' AS DATE)"
