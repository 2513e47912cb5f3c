"""Write to a shared ledger: what a transaction does to the copy is done on the server, or neither is.

A transaction locks the ledger on the server, brings the copy up to date, changes it, and sends what it
changed. The server commits first: it decides, and a copy that didn't get as far follows later.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tidemill.adapters.codec.events import decode_event
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.replica import (
    COPY_FOLDER,
    Copied,
    CopyConnections,
    Replica,
    of_copy,
    read_copied,
    sent_body,
    sent_columns,
)
from tidemill.adapters.postgres.server import (
    Connection,
    LedgerHead,
    LedgerServer,
    Row,
    channel_of,
    statement,
)
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import read_script
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.ledger.compaction_events import Compacted

# So long it is tried to find out whether the server recorded what it didn't answer to.
_UNKNOWN_S, _PAUSE_S = 15.0, 0.5
_JITTER_S = 0.1
# The first digits of codes that a server sends when it ends, or a connection does.
_ENDED = ("57P", "08")


class SharedConnections(CopyConnections):
    """This process's connections to a ledger on a server, and to its copy in the file `path`."""

    def __init__(
        self,
        path: Path,
        address: HomeAddress,
        busy_timeout_s: float,
        *,
        foreign_keys: bool = True,
        when_used: bool = False,
    ) -> None:
        self._reading = LedgerServer(address, lock_s=busy_timeout_s)
        self._writing = LedgerServer(address, lock_s=busy_timeout_s)
        self._replica = Replica(path, busy_timeout_s, when_used=True)
        self._channel = channel_of(address)
        self.place = address.place
        # By how many seconds the server's clock is ahead of this machine's.
        self.offset = 0.0
        super().__init__(path, busy_timeout_s, foreign_keys=foreign_keys, when_used=when_used)

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing.locked() as (remote, head):
            while True:
                self._replica.follow(self._reading, head)
                with super().write_transaction() as connection:
                    if self._replica.is_behind(connection, head):
                        continue
                    yield connection
                    at = self._commit(connection, remote, head)
                self._replica.note(at)
                return

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        head = self._head()
        while True:
            self._replica.follow(self._reading, head)
            with super().read_transaction() as connection:
                if self._replica.is_behind(connection, head):
                    continue
                yield connection
                return

    def follow(self) -> None:
        """Bring the copy up to date."""
        self._replica.follow(self._reading, self._head())

    @property
    def id(self) -> str:
        """Which ledger it is."""
        return self._head().id

    @property
    def count(self) -> int:
        """The number of events that the server has."""
        return self._head().seq

    @property
    def copied(self) -> tuple[int, int]:
        """The newest event and change that the copy has."""
        with self.read_transaction() as connection:
            known = read_copied(connection)
        return known.seq, known.changes

    def _head(self) -> LedgerHead:
        head = self._reading.head()
        offset = head.at - time.time()
        # The way to the server and back takes some of it.
        if abs(offset - self.offset) > _JITTER_S:
            self.offset = offset
        return head

    def server_time(self) -> float:
        """The server's time in Unix seconds, also within a transaction."""
        return self._reading.ask(self._reading.now)

    def vacuum_people(self) -> None:
        """Remove what the server keeps of deleted names in the table's file, if this user may do so."""
        with suppress(TidemillError), self._writing.connection() as remote:
            remote.execute(statement("vacuum_people"))

    def close(self) -> None:
        super().close()
        self._replica.close()
        self._reading.close()
        self._writing.close()

    def _prepare(self, connection: sqlite3.Connection, version: int) -> None:
        super()._prepare(connection, version)
        connection.executescript(read_script("noted.sql", COPY_FOLDER))

    def _commit(
        self, connection: sqlite3.Connection, remote: Connection, head: LedgerHead
    ) -> Copied:
        """Send what a transaction changed, and commit it on the server; how far the copy goes then."""
        events = connection.execute(of_copy("new_events"), (head.seq,)).fetchall()
        noted = connection.execute(of_copy("noted")).fetchall()
        if not events and not noted:
            return Copied(head.id, head.seq, head.link, head.changes)
        last = (events[-1][0], events[-1][-1]) if events else (head.seq, head.link)
        changes = head.changes + bool(noted)
        connection.execute(of_copy("clear_noted"))
        connection.execute(of_copy("move_copy"), (head.id, changes))
        try:
            with remote.pipeline():
                _send_events(connection, remote, head.seq, events)
                for place, key in noted:
                    _send_change(connection, remote, place, key, changes)
                remote.execute(statement("move_head"), (*last, changes))
                remote.execute(statement("notify"), (self._channel, str(last[0])))
                remote.execute("COMMIT")
        except psycopg.OperationalError as error:
            # What the server refuses it hasn't done. One that is gone, or was ended, may have done it before.
            is_refused = not (error.sqlstate or _ENDED[0]).startswith(_ENDED)
            if is_refused or not self._was_recorded(events, last):
                raise
        return Copied(head.id, last[0], last[1], changes)

    def _was_recorded(self, events: Sequence[Row], last: tuple[int, bytes]) -> bool:
        """Whether the server recorded events although it didn't say so; StorageError if it can't be asked."""
        if not events:
            # A lease that nobody knows of expires.
            return False
        end = time.monotonic() + _UNKNOWN_S
        while True:
            try:
                # The lost transaction may still be going on there; it holds the lock until it ends.
                with self._reading.locked() as (remote, _):
                    row = remote.execute(statement("link"), last[:1]).fetchone()
            except (ConflictError, StorageError) as error:
                if time.monotonic() > end:
                    raise StorageError(
                        f"the connection to the ledger {self.place} was lost while it recorded events "
                        f"{events[0][0]} to {last[0]}, so that it isn't known if it did: run again, which "
                        "plans from what is recorded"
                    ) from error
                time.sleep(_PAUSE_S)
            else:
                return row is not None and bytes(row[0]) == last[1]


def _send_events(
    connection: sqlite3.Connection, remote: Connection, after: int, events: Sequence[Row]
) -> None:
    if not events:
        return
    rows = [(*fields, sent_body(body), link) for *fields, body, link in events]
    remote.execute(statement("add_events"), sent_columns(rows))
    covered = connection.execute(of_copy("compacted_by"), (after,)).fetchall()
    if covered:
        remote.execute(statement("add_compacted"), sent_columns(covered))
    for row in events:
        if row[3] == Compacted.__name__:
            event = decode_event(unstamp(row[8]))
            assert isinstance(event, Compacted)
            between = (event.first, event.last)
            packed = connection.execute(of_copy("packed_between"), between).fetchall()
            if packed:
                remote.execute(statement("replace_bodies"), sent_columns(packed))


def _send_change(
    connection: sqlite3.Connection, remote: Connection, place: str, key: str, changes: int
) -> None:
    """Send a row of a table that isn't derived from events."""
    if place == "leases":
        row = connection.execute(of_copy("lease_row"), (key,)).fetchone()
        remote.execute(statement("put_lease"), (*row, changes))
        return
    row = connection.execute(of_copy("person_row"), (key,)).fetchone()
    # Who was added and erased in one transaction was never there.
    if place == "people" and row is not None:
        remote.execute(statement("put_person"), (*row, changes))
    elif place == "erased" and row is None:
        remote.execute(statement("remove_person"), (key,))
        remote.execute(statement("note_erased"), (key, changes))
