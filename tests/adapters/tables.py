"""Looks into a ledger's file, past the adapter."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# Not derived from events: how the file came about, and who may act now.
NOT_DERIVED = ("leases", "migrations")


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
        for statement in statements:
            connection.execute(statement)
