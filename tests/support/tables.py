"""Looks into a ledger's file, past the adapter."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tidemill.adapters.sqlite.connections import APPLICATION_ID
from tidemill.adapters.sqlite.integrity import read_events, rebuild_from
from tidemill.adapters.sqlite.migrations import add_functions, allow_appends, migrations
from tidemill.adapters.sqlite.packed_text import is_packed
from tidemill.adapters.sqlite.stamps import stamp, unstamp

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
    """The rows of every table that can be made anew from the facts, and the facts with their texts."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: sorted(_rows_of(connection, name), key=repr)
            for (name,) in names
            if name not in NOT_DERIVED
        }


def _rows_of(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, with texts in place of packed ones."""
    for row in connection.execute(f"SELECT * FROM {table}"):
        is_event = table == "events" and is_packed(row[-1])
        yield (*row[:-1], as_text(row[-1])) if is_event else row


def execute(path: Path, *statements: str) -> None:
    """Run statements of our own on a ledger's file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        allow_appends(connection)
        for statement in statements:
            connection.execute(statement)


def bodies(path: Path) -> list[str]:
    """The texts of all events, in order."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM events ORDER BY seq")
        return [unstamp(body) for (body,) in rows]


def store_as_text(path: Path) -> None:
    """Give events the form that they have in schema 16: text with a checksum."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("is_same_fact", 3, lambda old, new, _: new == as_text(old))
        connection.create_function("as_text", 1, as_text)
        connection.execute("UPDATE events SET body = as_text(body)")
        connection.execute("DELETE FROM migrations WHERE version > 16")
        connection.execute("PRAGMA user_version = 16")


def as_text(body: object) -> str:
    """The text of an event with its checksum."""
    return stamp(unstamp(body))


@contextmanager
def earlier(path: Path, version: int) -> Iterator[Callable[..., None]]:
    """A new ledger's file as an earlier schema has it; gives what runs a statement on it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        add_functions(connection)
        connection.create_function("text_of", 1, unstamp)
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
