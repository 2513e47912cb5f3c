"""Schema migrations of the SQLite ledger, from numbered SQL files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

from tidemill.adapters.sqlite.event_chain import link_function
from tidemill.adapters.sqlite.stamps import stamp
from tidemill.adapters.sqlite.statements import FOLDER, queries, read_script, without_comments

SCHEMA_VERSION = 10


def migrate(connection: sqlite3.Connection, tidemill_version: str) -> None:
    """Apply all missing migrations inside the open transaction; `tidemill` is the version recorded."""
    (current,) = connection.execute("PRAGMA user_version").fetchone()
    add_functions(connection)
    for version, statements in migrations(current):
        for statement in statements:
            connection.execute(statement)
        connection.execute(queries()["record_migration"], (version, tidemill_version))
        connection.execute(f"PRAGMA user_version = {version}")


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that migrations call to a connection."""
    connection.create_function("stamped", 1, stamp, deterministic=True)
    connection.create_function("linked", 9, link_function())


def migrations(after: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each schema version above `after`, in order, with the statements that lead to it."""
    for file in sorted(name for name in os.listdir(FOLDER) if name[:4].isdigit()):
        if int(file[:4]) > after:
            yield int(file[:4]), list(_split_statements(read_script(file)))


def _split_statements(script: str) -> Iterator[str]:
    """Split a script into statements; triggers contain semicolons, so SQLite finds the ends."""
    pending = ""
    for line in without_comments(script).splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
