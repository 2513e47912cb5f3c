"""Write to a shared ledger: what a transaction does to the copy is done on the server, or neither is.

A transaction locks the ledger on the server, brings the copy up to date, changes it, and sends what it
changed. The server commits first: it decides, and a copy that didn't get as far follows later.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tidemill.adapters.codec.events import decode_event
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.pulse import Pulse
from tidemill.adapters.postgres.replica import (
    COPY_FOLDER,
    Copied,
    CopyConnections,
    Replica,
    of_copy,
    read_copied,
)
from tidemill.adapters.postgres.rows import sent_columns, sent_event, sent_texts
from tidemill.adapters.postgres.server import (
    Connection,
    LedgerHead,
    LedgerServer,
    Row,
    ServerAway,
    channel_of,
    statement,
)
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import read_script
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.ledger.compaction_events import Compacted

# So long it is tried to find out whether the server recorded what it didn't answer to.
_UNKNOWN_S, _PAUSE_S = 15.0, 0.5
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
        self._pulse = Pulse(self._writing.patience)
        # Whether the copy may be read as it is while the server is away, which is asked only once then.
        self._reads_copy = self._is_away = False
        self.place = address.place
        super().__init__(path, busy_timeout_s, foreign_keys=foreign_keys, when_used=when_used)

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        self._come_close()
        with self._writing.locked() as (remote, head):
            outcome = _Outcome()
            try:
                # The copy may have to be waited for.
                with self._pulse.beside(remote, self._beat_s), self._copy_at(head) as connection:
                    yield connection
                    self._pulse.stop()
                    self._commit(connection, remote, head, outcome)
            except Exception:
                # The copy doesn't have it, and follows.
                self._replica.forget()
                if not outcome.is_committed and not self._was_recorded(outcome):
                    raise
            else:
                self._replica.note(outcome.copied or Copied.of(head))
        self._replica.clean()

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        head = self._head_or_copy()
        if head is None:
            with super().read_transaction() as connection:
                yield connection
            return
        while True:
            self._replica.follow(self._reading, head)
            with super().read_transaction() as connection:
                if not self._replica.has_reached(connection, head):
                    continue
                yield connection
                break
        self._replica.clean()

    def read_copy(self, *, while_away: bool) -> None:
        """Whether from now on the copy is read as it is while the server is away, which it may not be now."""
        self._reads_copy, self._is_away = while_away, False

    def _head_or_copy(self) -> LedgerHead | None:
        """What the server has; None to read the copy as it is, where that may be, while it is away."""
        if self._reads_copy and self._is_away:
            return None
        try:
            return self._reading.head()
        except ServerAway:
            if not self._reads_copy or not self._has_copy():
                raise
            self._is_away = True
            return None

    def _has_copy(self) -> bool:
        with super().read_transaction() as connection:
            return bool(read_copied(connection).id)

    def follow(self) -> None:
        """Bring the copy up to date."""
        self._replica.follow(self._reading, self._reading.head())
        self._replica.clean()

    @property
    def head(self) -> LedgerHead:
        """What the server has."""
        return self._reading.head()

    @property
    def copied(self) -> Copied:
        """What the copy has, once it is up to date."""
        with self.read_transaction() as connection:
            return read_copied(connection)

    @property
    def may_write(self) -> bool:
        """Whether this user of the database may record something."""
        return self._reading.may_write()

    @property
    def offset(self) -> float:
        """By how many seconds the server's clock is ahead of this machine's."""
        return self._reading.offset

    def server_time(self) -> float:
        """The server's time in Unix seconds, also within a transaction."""
        return self._reading.ask(self._reading.now)

    def require_lock(self) -> None:
        """Raise StorageError if the transaction that is going on doesn't hold the ledger any more."""
        with self._writing.answering() as remote:
            remote.execute(statement("still_here"))

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

    @property
    def _beat_s(self) -> float:
        return self._writing.lost_s / 4

    def _come_close(self) -> None:
        """Follow while nobody has to wait for it; what is left is little."""
        head = self._reading.head()
        if self._replica.is_far_behind(head):
            self._replica.follow(self._reading, head)

    @contextmanager
    def _copy_at(self, head: LedgerHead) -> Iterator[sqlite3.Connection]:
        """A transaction of the copy, which has all that the server has."""
        while True:
            self._replica.follow(self._reading, head)
            with super().write_transaction() as connection:
                if not self._replica.is_at(connection, head):
                    continue
                yield connection
                return

    def _commit(
        self,
        connection: sqlite3.Connection,
        remote: Connection,
        head: LedgerHead,
        outcome: _Outcome,
    ) -> None:
        """Send what a transaction changed, and commit it on the server."""
        events = connection.execute(of_copy("new_events"), (head.seq,)).fetchall()
        noted = connection.execute(of_copy("noted")).fetchall()
        if not events and not noted:
            # It proves that nobody else wrote meanwhile.
            remote.execute("COMMIT")
            return
        last = (events[-1][0], events[-1][-1]) if events else (head.seq, head.link)
        places = {place for place, _ in noted}
        leases = secrets.token_hex(8) if "leases" in places else head.leases_mark
        people = secrets.token_hex(8) if places - {"leases"} else head.people_mark
        connection.execute(of_copy("clear_noted"))
        connection.execute(of_copy("move_copy"), (head.id, leases, people))
        outcome.has_events = bool(events)
        outcome.copied = Copied(head.id, last[0], last[1], leases, people)
        try:
            with self._writing.patience.with_answer(remote), remote.pipeline():
                _send_events(connection, remote, head.seq, events)
                for place, key in noted:
                    _send_change(connection, remote, place, key)
                remote.execute(statement("move_head"), (*last, leases, people))
                remote.execute(statement("notify"), (self._channel, str(last[0])))
                remote.execute("COMMIT")
        except psycopg.OperationalError as error:
            # What the server refuses it hasn't done. One that is gone, or was ended, may have done it before.
            outcome.is_unknown = (error.sqlstate or _ENDED[0]).startswith(_ENDED)
            raise
        outcome.is_committed = True

    def _was_recorded(self, outcome: _Outcome) -> bool:
        """Whether the server recorded what it didn't answer to; StorageError if it can't be asked."""
        if not outcome.is_unknown or outcome.copied is None:
            return False
        # It may not have noticed that it was lost. The one that reads is left to whoever holds the copy.
        self._writing.close()
        end = time.monotonic() + _UNKNOWN_S
        while True:
            try:
                # The lost transaction may still be going on there; it holds the lock until it ends.
                with self._writing.locked() as (remote, head):
                    row = remote.execute(statement("link"), (outcome.copied.seq,)).fetchone()
            except (ConflictError, StorageError) as error:
                if time.monotonic() > end:
                    raise StorageError(
                        f"the connection to the ledger {self.place} was lost while it recorded something "
                        f"(up to event {outcome.copied.seq}), so that it isn't known if it did: run again, "
                        "which plans from what is recorded"
                    ) from error
                time.sleep(_PAUSE_S)
            else:
                if outcome.has_events:
                    return row is not None and row[0] == outcome.copied.link
                # Somebody may have changed a mark since; then it is taken for lost.
                known = head.leases_mark, head.people_mark
                return known == (outcome.copied.leases_mark, outcome.copied.people_mark)


class _Outcome:
    """What became of a transaction on the server, and how far the copy goes with it."""

    copied: Copied | None = None
    has_events = False
    is_committed = False
    is_unknown = False


def _send_events(
    connection: sqlite3.Connection, remote: Connection, after: int, events: Sequence[Row]
) -> None:
    if not events:
        return
    remote.execute(statement("add_events"), sent_columns([*map(sent_event, events)]))
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


def _send_change(connection: sqlite3.Connection, remote: Connection, place: str, key: str) -> None:
    """Send a row of a table that isn't derived from events."""
    if place == "leases":
        row = connection.execute(of_copy("lease_row"), (key,)).fetchone()
        remote.execute(statement("put_lease"), sent_texts(row))
        return
    row = connection.execute(of_copy("person_row"), (key,)).fetchone()
    # Who was added and erased in one transaction was never there.
    if place == "people" and row is not None:
        remote.execute(statement("put_person"), sent_texts(row))
    elif place == "erased" and row is None:
        remote.execute(statement("remove_person"), (key,))
