"""Change a ledger's file as somebody does who can write it and knows how its events are chained."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tidemill.adapters.sqlite.event_chain import linked_events

# The columns of `events`, in order.
COLUMNS = ("seq", "batch", "at", "kind", "environment", "run", "stage", "partition", "body")

Row = tuple[Any, ...]


def read_rows(path: Path) -> list[Row]:
    """All events as they are stored."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM events ORDER BY seq"
        ).fetchall()


@contextmanager
def unlocked(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for which nothing is append-only."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


def write_rows(path: Path, rows: list[Row]) -> None:
    """Replace all events, and compute the hash chain anew."""
    with unlocked(path) as connection:
        connection.execute("DELETE FROM events")
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({marks})", rows)
        connection.execute("DELETE FROM links")
        chain = [(event.seq, event.link) for event in linked_events(connection)]
        connection.executemany("INSERT INTO links VALUES (?, ?)", chain)


def renumbered(rows: list[Row]) -> list[Row]:
    """The events with numbers without a gap, each an append of its own."""
    return [(seq, seq, *row[2:]) for seq, row in enumerate(rows, 1)]
