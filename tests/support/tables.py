"""Looks into a ledger's file, past the adapter."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tidemill.adapters.sqlite.connections import APPLICATION_ID
from tidemill.adapters.sqlite.integrity import read_events, rebuild_from
from tidemill.adapters.sqlite.migrations import add_functions, allow_appends, migrations

# Not derived from events: how the file came about, and who may act now.
NOT_DERIVED = ("leases", "migrations", "people")
# What undoes the migrations from that of the tables of listings on.
WITHOUT_LISTINGS = (
    "DROP INDEX attempts_by_stage",
    "DROP TABLE quarantined",
    "DROP TABLE contract_versions",
    "DROP TABLE stale_tables",
    "DELETE FROM migrations WHERE version >= 15",
    "PRAGMA user_version = 14",
)


def tables(path: Path) -> dict[str, list[Any]]:
    """The rows of every table that can be made anew from the facts, and the facts."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in names
            if name not in NOT_DERIVED
        }


def execute(path: Path, *statements: str) -> None:
    """Run statements of our own on a ledger's file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        allow_appends(connection)
        for statement in statements:
            connection.execute(statement)


@contextmanager
def earlier(path: Path, version: int) -> Iterator[Callable[..., None]]:
    """A new ledger's file as an earlier schema has it; gives what runs a statement on it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        add_functions(connection)
        for number, statements in migrations(0):
            for statement in statements if number <= version else ():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

        def execute(statement: str, *values: object) -> None:
            connection.execute(statement, values)

        yield execute


def rebuild(path: Path, copy: Path) -> None:
    """Make a ledger of the events of another, which are intact."""
    events, damaged = read_events(path)
    assert damaged == []
    assert rebuild_from(events, copy, is_complete=True) == 0
