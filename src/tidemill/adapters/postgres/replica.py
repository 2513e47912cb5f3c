"""Keep a copy of a shared ledger in a SQLite file, with all that is derived from its events.

The server has the events, and what isn't derived from them. Every machine applies them in order, as if they
were appended there, so it reads as quickly as one that is alone. A copy can be deleted: it is made again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from tidemill.adapters.codec.events import decode_event, encode_sparse
from tidemill.adapters.postgres.rows import stored_body, stored_text, stored_texts
from tidemill.adapters.postgres.server import Connection, LedgerHead, LedgerServer, Row, statement
from tidemill.adapters.sqlite.compaction import is_same_fact
from tidemill.adapters.sqlite.connections import Connections, plain_cause
from tidemill.adapters.sqlite.event_chain import OtherEventsError
from tidemill.adapters.sqlite.people import erase_person
from tidemill.adapters.sqlite.projections import Projector
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import queries, read_script
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.event import RunEnded
from tidemill.ledger.event_digest import (
    FIRST_LINK,
    EventPlace,
    body_digest,
    event_leaf,
    next_link,
)

COPY_FOLDER = str(Path(__file__).parent / "sql" / "copy")
# The triggers of a copy name this function.
_GUARD = "this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url"
# The events of a page, which are applied in one transaction, and the pause after a full one: other processes
# of this machine write in between.
_PAGE, _PAUSE_S = 5_000, 0.02
# Copying more events takes so long that somebody may wonder.
_MANY_EVENTS = 50_000


class Copied(NamedTuple):
    """How far a copy of a ledger goes, as `LedgerHead` does; `id` is "" for one that was just made."""

    id: str
    seq: int
    link: bytes
    leases_mark: str
    people_mark: str

    @classmethod
    def of(cls, head: LedgerHead) -> Copied:
        """All of a ledger."""
        return cls(head.id, head.seq, head.link, head.leases_mark, head.people_mark)


_NOWHERE = Copied("", 0, FIRST_LINK, "", "")


class CopyConnections(Connections):
    """Connections to the copy of a ledger, which nothing else writes to."""

    def _set_functions(self, connection: sqlite3.Connection) -> None:
        super()._set_functions(connection)
        connection.create_function(_GUARD, 0, lambda: 1)
        connection.create_function("is_same_fact", 3, is_same_fact, deterministic=True)

    def _prepare(self, connection: sqlite3.Connection, version: int) -> None:
        super()._prepare(connection, version)
        # What the disk loses is copied again.
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute(of_copy("is_copy")).fetchone() is not None:
            return
        if connection.execute(queries()["last_seq"]).fetchone()[0]:
            raise StorageError(
                f"{self.path} is a ledger of its own, not the copy of one in PostgreSQL: move it away"
            )
        # Another process may be as far.
        with suppress(sqlite3.OperationalError):
            connection.executescript(
                f"BEGIN IMMEDIATE; {read_script('schema.sql', COPY_FOLDER)} COMMIT;"
            )
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _damaged(self, cause: BaseException) -> StorageError:
        return StorageError(
            f"{self.path}, the copy of a ledger in PostgreSQL, is damaged ({plain_cause(cause)}): delete it "
            "while nothing runs, and it is made anew; or call `tidemill verify --repair`"
        )

    def _find_file(self) -> object:
        try:
            return super()._find_file()
        except StorageError as error:
            raise StorageError(
                f"{self.path}, the copy of a ledger in PostgreSQL, was removed while it was in use: start "
                "again, and it is made anew"
            ) from error


class Replica(CopyConnections):
    """The connections through which a copy follows its server."""

    _at = _NOWHERE

    def _reset(self) -> None:
        super()._reset()
        self._erased = list[str]()

    def note(self, at: Copied) -> None:
        """Note how far the copy goes since another connection wrote to it."""
        self._at = at

    def forget(self) -> None:
        """Forget how far the copy goes."""
        self._at = _NOWHERE

    def is_far_behind(self, head: LedgerHead) -> bool:
        """Whether following takes longer than others should wait for it."""
        return head.seq - self._at.seq > _PAGE

    def follow(self, server: LedgerServer, head: LedgerHead) -> None:
        """Apply all that was recorded on the server until `head`, and maybe later.

        StorageError if the server lacks events that the copy has, or has another ledger.
        """
        wanted, has_others = head.seq, False
        while self._at != Copied.of(head):
            with self.read_transaction() as connection:
                known = read_copied(connection)
            if known.seq > head.seq:
                # Another process of this machine knows more than was asked for here.
                head = server.head()
            self._require_same(known, server, head)
            if known == Copied.of(head):
                self._at = known
            elif known.seq < wanted:
                self._apply_page(server, known, head)
            elif has_others:
                # While others go on, it needn't have what they did meanwhile.
                return
            else:
                self._apply_others(server, head)
                has_others = True

    def is_at(self, connection: sqlite3.Connection, head: LedgerHead) -> bool:
        """Whether a file has just what the server has; if not, somebody may have put another in its place."""
        if read_copied(connection) == Copied.of(head):
            return True
        self.forget()
        return False

    def has_reached(self, connection: sqlite3.Connection, head: LedgerHead) -> bool:
        """The same of a file that may have more by now."""
        known = read_copied(connection)
        if known.id == head.id and known.seq >= head.seq:
            return True
        self.forget()
        return False

    def clean(self) -> None:
        """Remove what the copy's files still have of names that were erased.

        If another process uses them, they keep a name until it is erased once more.
        """
        while self._erased:
            # Another thread may be quicker.
            with suppress(ConflictError, OSError, IndexError):
                erase_person(Path(self.path), self._erased.pop())

    def _require_same(self, known: Copied, server: LedgerServer, head: LedgerHead) -> None:
        if known.id not in ("", head.id):
            raise StorageError(
                f"{self.path} is a copy of another ledger than {server.place} has now: if that is meant, "
                "delete the copy, and it is made again"
            )
        if known.seq > head.seq:
            raise self._lacking(server, f"events {head.seq + 1} to {known.seq}")
        if known.seq == head.seq and known.link != head.link:
            raise self._lacking(server, f"event {known.seq} and maybe earlier ones")

    def _lacking(self, server: LedgerServer, which: str) -> StorageError:
        return OtherEventsError(
            f"the ledger {server.place} lacks {which}, which this machine has seen: the database was "
            "restored from an older backup, or a standby took over that lacked them. They are still in "
            f"{self.path}: keep a copy of it, and delete it to go on without them"
        )

    def _apply_page(self, server: LedgerServer, known: Copied, head: LedgerHead) -> None:
        """Apply the next events, unless another process of this machine does so at the same time."""
        if known.seq == 0 and head.seq > _MANY_EVENTS:
            logging.getLogger("tidemill").warning(
                "copying %s events of the ledger %s, once", f"{head.seq:,}", server.place
            )
        # Free again before the copy is waited for: whoever writes to that may have to ask the server.
        with server.answering() as remote:
            if known.seq:
                row = remote.execute(statement("link"), (known.seq,)).fetchone()
                if row is None or row[0] != known.link:
                    raise self._lacking(server, f"event {known.seq} and maybe earlier ones")
            page = _read_page(remote, known.seq)
        if not page:
            raise OtherEventsError(
                f"the ledger {server.place} lacks event {known.seq + 1}, although it says that it has "
                f"{head.seq:,}: restore a backup of the database"
            )
        with self.write_transaction() as connection:
            if read_copied(connection) == known:
                _apply_events(connection, server, page, known.link)
                connection.execute(of_copy("name_copy"), (head.id,))
        if len(page) >= _PAGE:
            time.sleep(_PAUSE_S)

    def _apply_others(self, server: LedgerServer, head: LedgerHead) -> None:
        """Take over all leases and people, which are few."""
        with self.write_transaction() as connection, server.answering() as remote:
            leases = [*map(stored_texts, remote.execute(statement("leases")))]
            people = {row[0]: row for row in map(stored_texts, remote.execute(statement("people")))}
            connection.execute(of_copy("forget_leases"))
            connection.executemany(of_copy("put_lease"), leases)
            for ref, name, _ in connection.execute(queries()["every_person"]).fetchall():
                if ref not in people:
                    self._erased.append(unstamp(name))
                    connection.execute(queries()["remove_person"], (ref,))
            connection.executemany(queries()["add_person"], people.values())
            marks = (head.id, head.leases_mark, head.people_mark)
            connection.execute(of_copy("move_copy"), marks)

    def _set_functions(self, connection: sqlite3.Connection) -> None:
        super()._set_functions(connection)
        # Names that are erased leave nothing behind.
        connection.execute("PRAGMA secure_delete = ON")


def of_copy(name: str) -> str:
    """A named statement for a copy."""
    return queries(COPY_FOLDER)[name]


def read_copied(connection: sqlite3.Connection) -> Copied:
    """How far a copy goes."""
    found = connection.execute(of_copy("copied")).fetchone()
    return Copied(found[0], found[1], found[2] or FIRST_LINK, found[3], found[4])


def _read_page(remote: Connection, after: int) -> list[Row]:
    """The next events of the server, whole appends only."""
    most = _PAGE
    while True:
        rows = remote.execute(statement("events"), (after, most)).fetchall()
        if len(rows) < most:
            return rows
        # The last append may have more.
        whole = [row for row in rows if row[1] != rows[-1][1]]
        if whole:
            return whole
        most *= 4


def _apply_events(
    connection: sqlite3.Connection, server: LedgerServer, rows: Sequence[Row], link: bytes
) -> None:
    for _, append in groupby(rows, key=itemgetter(1)):
        projector = Projector(connection=connection)
        for row in append:
            link = _apply_event(connection, server, projector, row, link)


def _apply_event(
    connection: sqlite3.Connection,
    server: LedgerServer,
    projector: Projector,
    row: Row,
    link: bytes,
) -> bytes:
    """Apply one event, and return its link; StorageError if it isn't what was recorded."""
    seq, batch, at, *texts, body, stored_link, digest, by = row
    kind, *names = map(stored_text, texts)
    where = EventPlace(seq, batch, at, kind or "", *names)
    try:
        stored = stored_body(body)
        text = unstamp(stored)
        whole = body_digest(text) if digest is None else digest.hex()
        event, found = decode_event(text), next_link(link, event_leaf(where, whole))
    except (StorageError, ValueError):
        event, found = None, b""
    if event is None or found != stored_link:
        raise OtherEventsError(
            f"event {seq} of the ledger {server.place} is not what was recorded, or an event before it was "
            "removed, added or moved: restore a backup of the database"
        )
    connection.execute(queries()["insert_event"], (*where, stored))
    connection.execute(queries()["insert_link"], (where.seq, found))
    if digest is not None:
        connection.execute(queries()["insert_compacted"], (where.seq, by, digest))
    projector.apply(where.seq, where.at, event)
    if isinstance(event, Compacted):
        _replace_bodies(connection, server, event)
    return found


def _replace_bodies(
    connection: sqlite3.Connection, server: LedgerServer, compacted: Compacted
) -> None:
    """Give the events that a compaction covers the bodies that it gave them."""
    with server.answering() as remote:
        rows = remote.execute(statement("bodies"), (compacted.first, compacted.last)).fetchall()
    for seq, kind, body, digest, by in rows:
        is_known = connection.execute(of_copy("is_compacted"), (seq,)).fetchone()
        if digest is not None and not is_known:
            connection.execute(queries()["insert_compacted"], (seq, by, digest))
        connection.execute(of_copy("replace_other_body"), {"seq": seq, "body": body})
        if digest is not None and kind == RunEnded.__name__:
            event = decode_event(unstamp(body))
            if isinstance(event, RunEnded) and event.receipt is not None:
                receipt = encode_sparse(event.receipt), event.run
                connection.execute(queries()["replace_receipt"], receipt)
