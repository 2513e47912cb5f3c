"""Copy a ledger's file at one moment, and prepare a copy for a home of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tidemill.adapters.codec.events import decode, decode_event
from tidemill.adapters.sqlite.connections import unreadable_ledger
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import is_object_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.retention_events import DataPinned, DataUnpinned
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSnapshot:
    """A copy of a ledger: its number of events, the link of the last one, and the objects that it needs.

    `kept` are objects that may be stored although no event needs them: those that people pinned, and marked
    ones, which a pin, hold, review or rollout may keep.
    """

    events: int
    link: str
    objects: frozenset[str]
    kept: frozenset[str] = frozenset()


def copy_ledger(path: Path, target: Path) -> LedgerSnapshot:
    """Copy a ledger that may be in use to a new file, as it is at one moment; writers don't wait.

    StorageError if it can't be read or written.
    """
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            # One file, without the write-ahead log beside it.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
            row = copy.execute(queries()["last_link"]).fetchone()
            return LedgerSnapshot(
                events=int(copy.execute(queries()["last_seq"]).fetchone()[0]),
                link="" if row is None else bytes(row[0]).hex(),
                objects=(needed := _needed_objects(copy)),
                kept=frozenset(_kept_objects(copy)) - needed,
            )
    except sqlite3.Error as error:
        raise unreadable_ledger(str(path), error) from error


def needed_objects(path: Path) -> frozenset[str]:
    """The objects that a ledger's file needs."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return _needed_objects(connection)
    except sqlite3.Error as error:
        raise unreadable_ledger(str(path), error) from error


def release_leases(path: Path) -> tuple[str, ...]:
    """Free all leases of a copied ledger, and use it as other ledgers are used; return its open runs.

    Tokens grow, so that whoever held a lease of the original holds none here.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute(queries()["free_leases"])
            return tuple(run for (run,) in connection.execute(queries()["running"]))
    except sqlite3.Error as error:
        raise unreadable_ledger(str(path), error) from error


def _needed_objects(connection: sqlite3.Connection) -> frozenset[str]:
    """The objects that are pinned, and those with rows that ingests pulled."""
    found = {str(name) for (name,) in connection.execute(queries()["pinned_objects"])}
    for (stored,) in connection.execute(queries()["known_sources"]):
        try:
            file = decode(SourceFile, unstamp(stored))
        except StorageError:
            continue
        if file.digest.endswith(".parquet"):
            found.add(file.digest)
    return frozenset(found)


def _kept_objects(connection: sqlite3.Connection) -> Iterator[str]:
    """The objects that are marked and not deleted yet, and those that people pinned."""
    for (name,) in connection.execute(queries()["marked_and_stored"]):
        yield str(name)
    pins: dict[str, str] = {}
    for (stored,) in connection.execute(queries()["pins_by_people"]):
        try:
            event = decode_event(unstamp(stored))
        except StorageError:
            continue
        if isinstance(event, DataPinned):
            pins[event.pin] = event.target
        elif isinstance(event, DataUnpinned):
            pins.pop(event.pin, None)
    yield from filter(is_object_name, pins.values())
