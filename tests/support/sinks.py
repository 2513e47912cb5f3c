"""Real sinks that tests deliver to, and what their readers find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from tests.support.servers import postgres_server
from tidemill.adapters.sinks import delta, duckdb, iceberg, postgres, sqlite
from tidemill.ledger.delivery import Effect
from tidemill.ports.formats import SinkWriter
from tidemill.store.frames import encode
from tidemill.testing.doubles import MemoryArtifacts
from tidemill.workflow.sink import PARTITION_COLUMN

# Hostile: quotes, marks of parameters, wildcards, capitals.
TABLE = 'Scored "by" O\'Hara ? %s $1'


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A sink in a folder of its own, and how to read all rows of its table as another program does."""

    writer: SinkWriter
    root: Path
    target: str
    table: str
    format: str
    read: Callable[[], pl.DataFrame | None]
    artifacts: MemoryArtifacts

    def effect(self, partition: str, at: float, rows: pl.DataFrame | None, key: str = "") -> Effect:
        """An effect that writes rows, or removes the partition without them."""
        name = "" if rows is None else self.artifacts.put(encode(rows), ".parquet")
        return Effect(
            key=key or f"{partition} {at} {name}",
            stage="scored",
            partition=partition,
            action="write" if name else "remove",
            target=self.target,
            object=name,
            format=self.format,
            table=self.table,
            at=at,
        )

    def deliver(self, *effects: Effect) -> list[Mapping[str, str]]:
        """Carry out effects; an error is raised."""
        found = list[Mapping[str, str]]()
        for _, result in self.writer.deliver_all(effects, self.root, self.artifacts):
            assert isinstance(result, dict), result
            found.append(result)
        return found

    def fault(self, effect: Effect) -> str | None:
        """What `verify` says of a delivery."""
        return self.writer.find_fault(effect, {}, self.root, self.artifacts)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of each partition, without its name."""
        frame = self.read()
        if frame is None:
            return {}
        names = [name for name in frame.columns if name != PARTITION_COLUMN]
        return {
            str(key): sorted(part.select(names).rows(), key=repr)
            for (key,), part in frame.partition_by(PARTITION_COLUMN, as_dict=True).items()
        }


def _by_sqlite(path: Path, table: str = TABLE) -> pl.DataFrame | None:
    import sqlite3

    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        name = table.replace('"', '""')
        known = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if (table,) not in known.fetchall():
            return None
        found = connection.execute(f'SELECT * FROM "{name}"')
        names = [column[0] for column in found.description]
        return pl.DataFrame(found.fetchall(), schema=names, orient="row", infer_schema_length=None)


def _by_duckdb(path: Path, table: str = TABLE) -> pl.DataFrame | None:
    import duckdb as library

    if not path.exists():
        return None
    with library.connect(str(path)) as connection:
        known = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        if (table,) not in known:
            return None
        name = table.replace('"', '""')
        found = connection.execute(f'SELECT * FROM "{name}"')
        names = [column[0] for column in found.description]
        return pl.DataFrame(found.fetchall(), schema=names, orient="row", infer_schema_length=None)


def _by_postgres(url: str, name: str) -> pl.DataFrame | None:
    import psycopg

    quoted = name.replace('"', '""').replace("%", "%%")
    with psycopg.connect(url) as connection:
        try:
            found = connection.execute(f'SELECT * FROM "{quoted}"', ())
        except psycopg.errors.UndefinedTable:
            return None
        names = [column.name for column in found.description or ()]
        rows = found.fetchall()
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def _by_delta(folder: Path) -> pl.DataFrame | None:
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(str(folder)):
        return None
    return pl.read_delta(str(folder))


def new_catalog(root: Path) -> None:
    """An Iceberg catalog in a file, with a namespace."""
    from pyiceberg.catalog.sql import SqlCatalog

    root.mkdir(parents=True, exist_ok=True)
    with SqlCatalog("default", uri=f"sqlite:///{root}/catalog.db") as catalog:
        catalog.create_namespace("marts")


def by_iceberg(root: Path, table: str) -> pl.DataFrame | None:
    """All rows of a table of the catalog; None if there is none."""
    from pyiceberg.catalog.sql import SqlCatalog

    with SqlCatalog("default", uri=f"sqlite:///{root}/catalog.db") as catalog:
        if not catalog.table_exists(table):
            return None
        return pl.DataFrame(catalog.load_table(table).scan().to_arrow())


def read_table(format: str, root: Path, url: str, table: str) -> pl.DataFrame | None:
    """All rows of the table of a sink, as another program reads it; None if there is none."""
    match format:
        case "sqlite":
            return _by_sqlite(root / "out.db", table)
        case "duckdb":
            return _by_duckdb(root / "out.duckdb", table)
        case "postgres":
            return _by_postgres(url, table)
        case "delta":
            return _by_delta(root / table)
    return by_iceberg(root, table)


FORMATS = ("sqlite", "duckdb", "postgres", "delta", "iceberg")


@contextmanager
def outlet(format: str, root: Path) -> Iterator[Outlet]:
    """A sink of a format; a database server runs for as long as it is used."""
    common: dict[str, Any] = {"root": root, "format": format, "artifacts": MemoryArtifacts()}
    if format == "sqlite":
        path = root / "a" / "out.db"
        yield Outlet(
            writer=sqlite.SqliteTables(), target="a/out.db", table=TABLE,
            read=lambda: _by_sqlite(path), **common,
        )  # fmt: skip
    elif format == "duckdb":
        path = root / "a" / "out.duckdb"
        yield Outlet(
            writer=duckdb.DuckdbTables(), target="a/out.duckdb", table=TABLE,
            read=lambda: _by_duckdb(path), **common,
        )  # fmt: skip
    elif format == "postgres":
        with postgres_server() as url:
            yield Outlet(
                writer=postgres.PostgresTables(), target=url, table=TABLE,
                read=lambda: _by_postgres(url, TABLE), **common,
            )  # fmt: skip
    elif format == "delta":
        yield Outlet(
            writer=delta.DeltaTables(), target="a/delta", table="",
            read=lambda: _by_delta(root / "a" / "delta"), **common,
        )  # fmt: skip
    else:
        new_catalog(root)
        yield Outlet(
            writer=iceberg.IcebergTables(), target="sqlite:///catalog.db", table="marts.scored",
            read=lambda: by_iceberg(root, "marts.scored"), **common,
        )  # fmt: skip


def elsewhere(one: Outlet, name: str) -> Outlet:
    """The same sink with another, new table."""
    match one.format:
        case "sqlite" | "duckdb":
            target = f"a/{name}.{one.format}"
            read = _by_sqlite if one.format == "sqlite" else _by_duckdb
            return replace(one, target=target, read=lambda: read(one.root / target))
        case "postgres":
            return replace(one, table=name, read=lambda: _by_postgres(one.target, name))
        case "delta":
            folder = one.root / "a" / name
            return replace(one, target=f"a/{name}", read=lambda: _by_delta(folder))
    table = f"marts.{name}"
    return replace(one, table=table, read=lambda: by_iceberg(one.root, table))
