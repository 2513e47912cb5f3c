"""Replace a ledger's file by a rebuilt one: at every moment there is a complete ledger in its place.

SQLite finds the file with the newest transactions (`-wal`) by name, so no other process may have the old
file open when it is replaced. A connection in exclusive locking mode ensures that. `Connections` ensures
that a process which waited for that lock opens the new file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.adapters.files.disk import sync_folder, translate_os_errors
from tidemill.adapters.sqlite.connections import READ_ERRORS, is_busy
from tidemill.adapters.sqlite.integrity import StoredEvent, events_in, open_survivor
from tidemill.adapters.sqlite.people import copy_people
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.io.home_files import open_private


class LockedLedger:
    """A ledger's file that no other process can open; one that is too damaged to be locked isn't locked."""

    def __init__(self, path: Path, connection: sqlite3.Connection, opened: ExitStack) -> None:
        self._path = path
        self._connection = connection
        self._opened = opened

    def read_events(self) -> tuple[list[StoredEvent], list[int]]:
        """Return the events that can be read, and the numbers of those that can't; else StorageError."""
        return events_in(self._connection, self._path)

    def last_event(self) -> int:
        """Return the number of the newest event, as far as it can be read."""
        with suppress(*READ_ERRORS):
            return int(self._connection.execute(queries()["last_seq"]).fetchone()[0])
        return 0

    def replace(self, new: Path, suffix: str) -> Path:
        """Put a rebuilt ledger in the place of this one, of which a copy is kept; return where."""
        self._copy_others(new)
        kept = self._path.with_name(f"{self._path.name}.{suffix}")
        while kept.exists():
            kept = kept.with_name(f"{kept.name}x")
        with translate_os_errors(str(self._path)):
            for tail in ("-wal", ""):
                self._copy(f"{self._path}{tail}", f"{kept}{tail}")
            sync_folder(str(kept.parent))
            # All that they had is in the file itself, unless it is too damaged for that.
            for tail in ("-wal", "-shm"):
                Path(f"{self._path}{tail}").unlink(missing_ok=True)
            os.replace(new, self._path)
            sync_folder(str(self._path.parent))
        return kept

    def _copy(self, source: str, target: str) -> None:
        if not os.path.exists(source) or (source.endswith("-wal") and not os.path.getsize(source)):
            return
        # Closing any descriptor of a file releases the locks that the process has on it.
        file = open(source, "rb")  # noqa: SIM115
        self._opened.callback(file.close)
        with open(target, "xb", opener=open_private) as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())

    def _copy_others(self, new: Path) -> None:
        """Keep the people, and the tokens of leases, so that none is given again to another holder."""
        tokens: list[tuple[bytes, int]] = []
        with suppress(*READ_ERRORS):
            tokens = self._connection.execute(queries()["lease_tokens"]).fetchall()
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            with suppress(*READ_ERRORS):
                copy_people(self._connection, connection)
            for name, token in tokens:
                free = (name.decode(), token, None, 0.0, 0.0)
                connection.execute(queries()["take_lease"], free)


@contextmanager
def lock_ledger(path: Path) -> Iterator[LockedLedger]:
    """Keep all other processes out of a ledger's file, which may be damaged or missing.

    ConflictError if a run is active in it, or if another process has it open.
    """
    with ExitStack() as opened:
        if path.exists():
            _require_unused(path)
            # Closed before the files that were copied: then the locks aren't needed any more.
            connection = _lock(path)
        else:
            connection = sqlite3.connect(":memory:")
        with closing(connection):
            yield LockedLedger(path, connection, opened)


def _lock(path: Path) -> sqlite3.Connection:
    connection = open_survivor(path)
    # The checkpoint leaves a file that is complete without the one beside it.
    for statement in (
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "BEGIN EXCLUSIVE",
    ):
        try:
            connection.execute(statement)
        except READ_ERRORS as error:
            # Nobody can write to a file that is too damaged to be locked.
            if is_busy(error):
                connection.close()
                _require_unused(path)
                raise ConflictError(
                    f"another process has the ledger {path} open: end it (a notebook, a run, or another "
                    "command), then try again"
                ) from error
    return connection


def _require_unused(path: Path) -> None:
    """Raise ConflictError if a run holds a lease in a ledger, as far as that can be read."""
    held: list[str] = []
    # What is damaged is read as far as possible.
    with (
        suppress(*READ_ERRORS, StorageError),
        closing(sqlite3.connect(path, timeout=0)) as connection,
    ):
        for name, holder in connection.execute(queries()["active_leases"]):
            held.append(f"{name}: {describe_holder(decode(dict, holder))}")
    if held:
        raise ConflictError(f"a run is active in {held[0]}; wait for it to end")
