"""Give what a ledger's file doesn't need back to the disk, in small steps beside running work.

SQLite frees a page when no row is left in it. Smaller bodies leave pages half empty, so their rows are stored
anew. Free pages are then taken off the file, a few at a time. That needs a file with incremental
auto-vacuum, as new ledgers have; others get it by one VACUUM.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tidemill.adapters.sqlite.connections import is_busy
from tidemill.adapters.sqlite.migrations import allow_appends
from tidemill.adapters.sqlite.statements import queries

# What is recorded next uses free pages: it is worth giving them back if they are so many.
_WORTHWHILE_SHARE = 0.1
# How long this waits for others.
_WAIT_S = 0.5
_STEP_PAGES = 256
_LONGEST_PAUSE_S = 0.05
# Copying so much takes about a second, which others can wait.
_QUICK_BYTES = 64_000_000
# So many rows are stored anew at most for the sake of one that became smaller.
_MOST_FOR_EACH = 4
_INCREMENTAL = 2


def pack_pages(connection: sqlite3.Connection, first: int, last: int, smaller: int) -> None:
    """Store a range of events as they are once more, inside the open transaction, if that frees pages.

    `smaller` of them became smaller. The connection must not enforce foreign keys: what refers to an event
    does so again at the end.
    """
    if last - first >= _MOST_FOR_EACH * smaller:
        return
    connection.create_function("is_stored_anew", 1, lambda seq: first <= seq <= last)
    connection.execute(queries()["make_aside"])
    connection.execute(queries()["set_aside"], (first, last))
    connection.execute(queries()["take_out_aside"])
    connection.execute(queries()["put_back_aside"])
    connection.execute(queries()["clear_aside"])
    allow_appends(connection)


def shrink(path: Path, saved: int) -> list[str]:
    """Give what the file doesn't need back to the disk; notes say why that isn't done, and what to do.

    `saved` bytes are those by which rows became smaller.
    """
    with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as connection:
        ((size, page, free),) = connection.execute(queries()["pages"]).fetchall()
        try:
            if _pragma(connection, "auto_vacuum") != _INCREMENTAL:
                is_worth = saved + free * page >= _WORTHWHILE_SHARE * size * page
                return _convert(connection, size * page, is_worth=is_worth)
            if free >= _WORTHWHILE_SHARE * size:
                _release_pages(connection)
        except sqlite3.OperationalError as error:
            why = "another process uses it" if is_busy(error) else str(error)
            return [f"the file keeps its size ({why}): a later compaction shrinks it"]
    return []


def _release_pages(connection: sqlite3.Connection) -> None:
    while _pragma(connection, "freelist_count"):
        began = time.monotonic()
        # A plain `execute` would end after the first page.
        connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")
        # Whoever waits for the lock looks for it only now and then.
        time.sleep(min(time.monotonic() - began, _LONGEST_PAUSE_S))
    _truncate(connection)


def _convert(connection: sqlite3.Connection, size: int, *, is_worth: bool) -> list[str]:
    """Copy a file of an earlier version once, so that it can shrink in steps from then on."""
    held = connection.execute(queries()["active_leases"]).fetchall()
    if held and size > _QUICK_BYTES:
        note = (
            f"the file keeps its size, because {held[0][0]} is active: call `tidemill ledger compact` once "
            "while no run and no `tidemill up` works; from then on it shrinks beside them"
        )
        return [note] if is_worth else []
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("VACUUM")
    _truncate(connection)
    return []


def _truncate(connection: sqlite3.Connection) -> None:
    """Write the log to the file, which gets smaller by that; if others read now, their next write does it."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchall()[0][0])
