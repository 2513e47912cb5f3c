"""Connections to a ledger's file: opened, brought to the newest schema, and each behind a lock.

A process has one connection that writes and one that reads, each opened when it is first needed.
WAL lets readers and the writer pass each other; a lock per connection lets threads share them. A
connection must not cross a fork, so a process that finds itself with its parent's opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.refusals import who
from tidemill.adapters.files.disk import FORBIDDEN_ADVICE, FULL_ADVICE, explained, make_folder
from tidemill.adapters.sqlite.statements import migrations, queries
from tidemill.core.errors import ConflictError, StorageError, TidemillError

SCHEMA = 7
APPLICATION = 0x54444D4C  # "TDML", in the file's header: tells a ledger from other SQLite files

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# Connections of a parent process: closing them here could take away its locks, so they are kept.
_inherited: list[sqlite3.Connection] = []


class Connections:
    """The connections of this process to one file; errors of SQLite leave as TidemillErrors."""

    _writer: sqlite3.Connection | None
    _reader: sqlite3.Connection | None

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = os.path.abspath(path)
        self._busy_s = busy_s
        self._begin()
        with self.reading():
            pass  # opened and migrated: a ledger that can't be used is refused here

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A durable transaction: all of it, or nothing when anything is raised inside."""
        self._after_fork()
        with self._write_lock, self._explaining():
            self._writer = self._writer or self._connect()
            with _transaction(self._writer, "BEGIN IMMEDIATE") as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A snapshot that stays the same while others write; nothing waits for it."""
        self._after_fork()
        with self._read_lock, self._explaining():
            self._reader = self._reader or self._connect()
            with _transaction(self._reader, "BEGIN") as connection:
                yield connection

    def close(self) -> None:
        """Close both; the next use opens them again."""
        self._after_fork()
        with self._write_lock, self._read_lock, self._explaining():
            _close(self._open, self._process)
            self._writer = self._reader = None

    def _begin(self) -> None:
        self._process = os.getpid()
        # Who drops a project without closing it leaves no connection open.
        self._open: list[sqlite3.Connection] = []
        weakref.finalize(self, _close, self._open, self._process)
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._writer = self._reader = None

    def _after_fork(self) -> None:
        if self._process != os.getpid():
            _inherited.extend(self._open)
            self._begin()

    def _connect(self) -> sqlite3.Connection:
        try:
            make_folder(os.path.dirname(self.path))
        except OSError as error:
            raise explained(error, self.path) from error
        connection = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._open.append(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Refuse what isn't a ledger that this version understands; create or migrate what is."""
        version = _pragma(connection, "user_version")
        if version != 0 or connection.execute(queries()["any_table"]).fetchone():
            self._check_maker(connection, version)
        if version < SCHEMA:
            self._set_wal(connection)
            _migrate(connection)

    def _set_wal(self, connection: sqlite3.Connection) -> None:
        """The mode is kept in the file. SQLite doesn't wait for others when it is set, so we do."""
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if _code(error) not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        if mode != "wal":
            raise StorageError(
                f"{self.path} can't be written safely where it is (journal mode {mode!r}, not WAL, "
                "as on some network file systems): keep the ledger on a local disk"
            )

    def _check_maker(self, connection: sqlite3.Connection, version: int) -> None:
        if _pragma(connection, "application_id") != APPLICATION:
            raise StorageError(
                f"{self.path} is an SQLite file of something else, not a Tidemill ledger: move it "
                "away, or keep the project's state in another folder"
            )
        if version <= SCHEMA:
            return
        maker = "a newer Tidemill"
        with suppress(sqlite3.Error, TypeError):
            row = connection.execute(queries()["maker"], (version,)).fetchone()
            maker = f"Tidemill {row[0]}"
        raise StorageError(
            f"the ledger {self.path} has schema version {version}, made by {maker}; Tidemill "
            f"{_installed()} understands versions up to {SCHEMA}: pip install -U tidemill"
        )

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> TidemillError:
        code, path = _code(error), self.path
        if code in _BUSY:
            return ConflictError(
                f"the ledger {path} is busy: held by {self._holders()} for over {self._busy_s:g} "
                "s; wait for it to end or stop it, then run again"
            )
        if code == sqlite3.SQLITE_FULL:
            return StorageError(f"no space left for the ledger {path} ({error}): {FULL_ADVICE}")
        if code in _FORBIDDEN:
            return StorageError(f"the ledger {path} can't be used ({error}): {FORBIDDEN_ADVICE}")
        if code in _DAMAGED:
            return StorageError(
                f"{path} is damaged or no ledger ({error}): restore it from a copy, or move it "
                "away to begin anew (objects are kept, what was recorded is lost)"
            )
        return StorageError(f"the ledger {path} failed ({error}): check the disk, then run again")

    def _holders(self) -> str:
        """Who most likely writes: the holders of leases, as far as they can be read."""
        rows: list[tuple[str, str]] = []
        with suppress(sqlite3.Error):
            connection = sqlite3.connect(self.path, timeout=0)
            try:
                rows = connection.execute(queries()["lease_holders"]).fetchall()
            finally:
                connection.close()
        held = (f"{who(decode(dict, holder))} (lease {name!r})" for name, holder in rows)
        return "; ".join(held) or "another process"


def _close(connections: list[sqlite3.Connection], process: int) -> None:
    """Close what this process opened; a child leaves its parent's as they are."""
    while connections and process == os.getpid():
        connections.pop().close()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    try:
        connection.execute(begin)
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            # Some errors have rolled back already; whatever this one says, the first one counts.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def _migrate(connection: sqlite3.Connection) -> None:
    """All missing versions at once; of two processes, the second finds nothing left to do."""
    with _transaction(connection, "BEGIN EXCLUSIVE"):
        for version, statements in migrations(_pragma(connection, "user_version")):
            for statement in statements:
                connection.execute(statement)
            connection.execute(queries()["migrated"], (version, _installed()))
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")


def _installed() -> str:
    """This Tidemill's version, asked for only when a ledger is made or refused: it costs 10 ms."""
    from importlib.metadata import version

    return version("tidemill")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _code(error: sqlite3.Error) -> int:
    """The primary result code; the bits above it tell cases apart that are handled alike."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
