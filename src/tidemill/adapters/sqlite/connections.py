"""Open and migrate a ledger's SQLite file, and share its connections between threads.

A process has one writing and one reading connection, each opened on first use. In WAL mode readers
and the writer don't block each other; a lock per connection lets threads share it. A connection must
not cross a fork, so a forked child opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.adapters.files.disk import (
    FORBIDDEN_ADVICE,
    FULL_ADVICE,
    make_folder,
    storage_error,
)
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION, allow_appends, migrate
from tidemill.adapters.sqlite.stamps import DamagedTextError
from tidemill.adapters.sqlite.statements import queries
from tidemill.adapters.sqlite.upgrade_watch import watch_upgrade
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.ledger.io.home_files import open_private

APPLICATION_ID = (
    0x54444D4C  # "TDML" in the file's header distinguishes a ledger from other SQLite files
)

BUSY_TIMEOUT_S = 30.0
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_FORBIDDEN_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)
# SQLite quotes what it read in its messages, which may not be Unicode.
READ_ERRORS = (sqlite3.Error, UnicodeDecodeError)
_DAMAGED_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# A parent process's connections stay referenced: closing them in a child could release its locks.
_inherited_connections: list[sqlite3.Connection] = []


class Connections:
    """This process's connections to one file; SQLite errors are raised as TidemillErrors."""

    _writer: sqlite3.Connection | None
    _reader: sqlite3.Connection | None

    def __init__(
        self,
        path: Path,
        busy_timeout_s: float,
        *,
        foreign_keys: bool = True,
        when_used: bool = False,
    ) -> None:
        self.path = os.path.abspath(path)
        self._foreign_keys = "ON" if foreign_keys else "OFF"
        self._busy_timeout_s = busy_timeout_s
        self._was_open = False
        self._reset()
        if not when_used:
            with self.read_transaction():
                pass  # open and migrate now, so that an unusable ledger is rejected here

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a durable write transaction; an exception inside rolls all of it back."""
        self._reset_after_fork()
        with self._write_lock, self._translate_errors(), self._report_damage():
            self._writer = self._current(self._writer) or self._connect()
            with _transaction(self._writer, "BEGIN IMMEDIATE") as connection:
                self._require_same_schema(connection)
                yield connection

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        """Read from a snapshot that doesn't change while others write; it blocks nobody."""
        self._reset_after_fork()
        with self._read_lock, self._translate_errors(), self._report_damage():
            self._reader = self._current(self._reader) or self._connect()
            with _transaction(self._reader, "BEGIN") as connection:
                yield connection

    def close(self) -> None:
        """Close both connections; the next use opens them again."""
        self._reset_after_fork()
        with self._write_lock, self._read_lock, self._translate_errors():
            _close_connections(self._open, self._process)
            self._writer = self._reader = None
            self._files.clear()

    def _reset(self) -> None:
        self._process = os.getpid()
        # Close the connections of a project that is dropped without being closed.
        self._open: list[sqlite3.Connection] = []
        self._files: dict[sqlite3.Connection, object] = {}
        weakref.finalize(self, _close_connections, self._open, self._process)
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._writer = self._reader = None

    def _reset_after_fork(self) -> None:
        if self._process != os.getpid():
            _inherited_connections.extend(self._open)
            self._reset()

    def _current(self, connection: sqlite3.Connection | None) -> sqlite3.Connection | None:
        """The connection, unless its file was replaced; StorageError if it was removed.

        SQLite would go on with the file that no other process finds any more, and lose what is written.
        """
        # It is closed already if no connection to the file that replaced its own could be opened.
        if connection is None or connection not in self._files:
            return None
        if self._find_file() == self._files[connection]:
            return connection
        self._open.remove(connection)
        del self._files[connection]
        connection.close()
        return None

    def _connect(self) -> sqlite3.Connection:
        while True:
            # Not once more: a home that was moved away isn't made again, nor an empty ledger.
            created = self._find_file() if self._was_open else self._create_file()
            connection = sqlite3.connect(
                self.path,
                timeout=self._busy_timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA foreign_keys = {self._foreign_keys}")
                self._set_functions(connection)
                # Not all builds of SQLite do that by default: what is erased would stay in unused space,
                # where it isn't found, since bodies of events are compressed.
                connection.execute("PRAGMA secure_delete = ON")
                version = read_schema_version(connection)
                # The file may have been replaced while this waited for it. From now on it can't be.
                if self._identity() == created:
                    self._prepare(connection, version)
                    self._files[connection] = created
                    break
            except BaseException:
                connection.close()
                raise
            connection.close()
        self._open.append(connection)
        self._was_open = True
        return connection

    def _set_functions(self, connection: sqlite3.Connection) -> None:
        """Add the functions without which the ledger's triggers refuse to write."""
        allow_appends(connection)

    def _create_file(self) -> object:
        """Create the file if it is missing; return what distinguishes it from one that replaces it."""
        try:
            make_folder(os.path.dirname(self.path))
            # SQLite gives its other files the rights that this one has.
            if not os.path.exists(self.path):
                os.close(open_private(self.path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise storage_error(error, self.path) from error
        return self._identity()

    def _find_file(self) -> object:
        """The same of a file that was there before; StorageError if it is gone."""
        found = self._identity()
        if found is None:
            raise StorageError(
                f"the ledger {self.path} was removed while it was in use: put it back, or restore it from "
                "a backup"
            )
        return found

    def _identity(self) -> object:
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino

    def _prepare(self, connection: sqlite3.Connection, version: int) -> None:
        """Create or migrate the schema; reject a file that isn't a ledger this version can read."""
        if version != 0 or connection.execute(queries()["any_table"]).fetchone():
            self._check_version(connection, version)
        elif self._was_open:
            # A backup that is copied there may follow.
            raise self._damaged(ValueError("it is empty"))
        else:
            # So that a compaction can give what is free back to the disk, step by step.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if version < SCHEMA_VERSION:
            self._set_wal(connection)
            with watch_upgrade(connection, self.path):
                _migrate(connection)

    def _require_same_schema(self, connection: sqlite3.Connection) -> None:
        """Raise StorageError if a newer Tidemill upgraded the ledger since it was opened.

        What this one writes might contradict what the newer schema derives from events.
        """
        if found := self._find_upgrade(connection, ", so this was not recorded"):
            raise found

    def _find_upgrade(self, connection: sqlite3.Connection, effect: str) -> StorageError | None:
        """The error that a newer Tidemill upgraded the ledger since it was opened; None if none did."""
        version = read_schema_version(connection)
        if version <= SCHEMA_VERSION:
            return None
        return StorageError(
            f"{_written_by(connection, version)} upgraded the ledger {self.path} to schema version {version} "
            f"while this process of Tidemill {_tidemill_version()} had it open{effect}: "
            "end this process, and start it again with the version that is installed now"
        )

    def _set_wal(self, connection: sqlite3.Connection) -> None:
        """Switch the file to WAL mode; SQLite doesn't wait for other connections here, so we do."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        if mode != "wal":
            raise StorageError(
                f"{self.path} can't be written safely there (journal mode {mode!r} instead of WAL, "
                "as on some network file systems): keep the ledger on a local disk"
            )

    def _check_version(self, connection: sqlite3.Connection, version: int) -> None:
        if _read_pragma(connection, "application_id") != APPLICATION_ID:
            raise StorageError(
                f"{self.path} is an SQLite file of another program, not a Tidemill ledger: move it "
                "away, or keep the project's state in another folder"
            )
        refuse_newer_schema(connection, version, self.path)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate_error(error) from error

    @contextmanager
    def _report_damage(self) -> Iterator[None]:
        """Raise StorageError with the path and what to do for a record that isn't what was stored."""
        try:
            yield
        except (DamagedTextError, UnicodeDecodeError) as error:
            # A newer schema may have records that this one can't read.
            with suppress(sqlite3.Error), closing(sqlite3.connect(self.path)) as connection:
                if found := self._find_upgrade(connection, ""):
                    raise found from error
            raise self._damaged(error) from error

    def _translate_error(self, error: sqlite3.Error) -> TidemillError:
        code, path = _error_code(error), self.path
        if code in _BUSY_CODES:
            return ConflictError(
                f"the ledger {path} is busy: held by {self._describe_holders()} for over "
                f"{self._busy_timeout_s:g} s; wait for it to finish or stop it, then run again"
            )
        if code == sqlite3.SQLITE_FULL:
            return StorageError(f"no space left for the ledger {path} ({error}): {FULL_ADVICE}")
        if code in _FORBIDDEN_CODES:
            return _forbidden_ledger(path, error)
        if code in _DAMAGED_CODES or str(error).startswith("Could not decode to UTF-8"):
            return self._damaged(error)
        return StorageError(f"the ledger {path} failed ({error}): check the disk, then run again")

    def _damaged(self, cause: BaseException) -> StorageError:
        """The error that the file is damaged, with the ways out."""
        return damaged_ledger(self.path, cause)

    def _describe_holders(self) -> str:
        """Describe who is probably writing: the lease holders, as far as they can be read."""
        rows: list[tuple[str, str]] = []
        with suppress(sqlite3.Error):
            connection = sqlite3.connect(self.path, timeout=0)
            try:
                rows = connection.execute(queries()["lease_holders"]).fetchall()
            finally:
                connection.close()
        held = (
            f"{describe_holder(decode(dict, holder))} (lease {name!r})" for name, holder in rows
        )
        return "; ".join(held) or "another process"


def read_schema_version(connection: sqlite3.Connection) -> int:
    """The version of the schema that a ledger's file has."""
    return _read_pragma(connection, "user_version")


def refuse_newer_schema(connection: sqlite3.Connection, version: int, path: str) -> None:
    """Raise StorageError for a schema version that only a newer Tidemill knows."""
    if version <= SCHEMA_VERSION:
        return
    raise StorageError(
        f"the ledger {path} has schema version {version}, written by "
        f"{_written_by(connection, version)}; Tidemill "
        f"{_tidemill_version()} supports versions up to {SCHEMA_VERSION}: pip install -U tidemill"
    )


def damaged_ledger(path: str, cause: BaseException) -> StorageError:
    """The error that a ledger's file is damaged, with the ways out."""
    return StorageError(
        f"the ledger {path} is damaged or no ledger ({plain_cause(cause)}): restore it from a backup, or "
        "call `tidemill ledger rebuild`, which makes a new one from its events; `tidemill verify` says what "
        "is damaged"
    )


def plain_cause(cause: BaseException) -> str:
    """The text of an error, without what SQLite quotes, which may be binary."""
    text = str(cause).partition(" with text ")[0]
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def unreadable_ledger(path: str, error: Exception) -> TidemillError:
    """The error that a ledger's file can't be read: it is busy, may not be opened, or is damaged."""
    if is_busy(error):
        return ConflictError(
            f"the ledger {path} is busy: another process rebuilds it; try again later"
        )
    if is_forbidden(error):
        return _forbidden_ledger(path, error)
    return damaged_ledger(path, error)


def _forbidden_ledger(path: str, error: Exception) -> StorageError:
    return StorageError(f"the ledger {path} can't be used ({error}): {FORBIDDEN_ADVICE}")


def is_forbidden(error: Exception) -> bool:
    """Whether the file, or one that SQLite needs beside it, can't be opened or written."""
    return _error_code(error) in _FORBIDDEN_CODES


def is_busy(error: Exception) -> bool:
    """Whether another connection holds what was needed."""
    return _error_code(error) in _BUSY_CODES


def _close_connections(connections: list[sqlite3.Connection], process: int) -> None:
    """Close connections in the process that opened them; a child leaves its parent's open."""
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
            # Some errors roll back by themselves; a second error mustn't hide the first.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply all missing migrations in one transaction; a second process then finds none left."""
    with _transaction(connection, "BEGIN EXCLUSIVE"):
        migrate(connection, _tidemill_version())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _written_by(connection: sqlite3.Connection, version: int) -> str:
    """The Tidemill that migrated a ledger to a schema version."""
    with suppress(sqlite3.Error, TypeError):
        row = connection.execute(queries()["migrated_by"], (version,)).fetchone()
        return f"Tidemill {row[0]}"
    return "a newer Tidemill"


@cache
def _tidemill_version() -> str:
    """Tidemill's version; the lookup takes 10 ms, so only migrations and errors use it."""
    from importlib.metadata import version

    return version("tidemill")


def _read_pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _error_code(error: Exception) -> int:
    """The primary result code; the extended bits above it don't change how an error is handled."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
