"""Keep a copy of a shared ledger in a SQLite file, with all that is derived from its events.

The server has the events, and what isn't derived from them. Every machine applies them in order, as if they
were appended there, so it reads as quickly as one that is alone. A copy can be deleted: it is made again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from tidemill.adapters.codec.events import decode_event, encode_sparse
from tidemill.adapters.postgres.server import Connection, LedgerHead, LedgerServer, Row, statement
from tidemill.adapters.sqlite.compaction import is_same_fact
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.packed_text import is_packed
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
# Events are copied in transactions of about so many, so that others can write in between.
_MOST_EVENTS = 5_000
# Who waits for so many is told so.
_MANY_EVENTS = 50_000


class Copied(NamedTuple):
    """How far a copy of a ledger goes; `id` is "" for one that was just made."""

    id: str
    seq: int
    link: bytes
    changes: int


_NOWHERE = Copied("", 0, FIRST_LINK, 0)


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

    def note(self, at: Copied) -> None:
        """Note how far the copy goes since another connection wrote to it."""
        self._at = at

    def follow(self, server: LedgerServer, head: LedgerHead) -> None:
        """Apply all that was recorded on the server until `head`, and maybe later.

        StorageError if the server lacks events that the copy has, or has another ledger.
        """
        if self._is_at(head):
            return
        erased: list[str] = []
        while not self._follow(server, head, erased):
            pass
        for name in erased:
            # If another process uses the copy, its files keep the name until it is erased once more.
            with suppress(ConflictError):
                erase_person(Path(self.path), name)

    def _follow(self, server: LedgerServer, head: LedgerHead, erased: list[str]) -> bool:
        """Apply some of it, and add names that are forgotten to `erased`; whether the copy is at the head."""
        with self.write_transaction() as connection:
            known = read_copied(connection)
            if known.seq > head.seq:
                # Another process of this machine knows more than was asked for here.
                head = server.head()
            self._require_same(known, server, head)
            if known.id and known.seq >= head.seq and known.changes >= head.changes:
                self._at = known
                return True
            if known.seq == 0 and head.seq > _MANY_EVENTS:
                logging.getLogger("tidemill").warning(
                    "copying %s events of the ledger %s, once", f"{head.seq:,}", server.place
                )
            with server.connection() as remote:
                self._require_end(known, server, remote)
                _apply_events(connection, remote, known, server.place)
                if connection.execute(queries()["last_seq"]).fetchone()[0] >= head.seq:
                    erased += _apply_changes(connection, remote, known.changes, head)
        return False

    def is_behind(self, connection: sqlite3.Connection, head: LedgerHead) -> bool:
        """Whether a file lacks what the copy is known to have: somebody put another one in its place."""
        known = read_copied(connection)
        if known.id == head.id and known.seq >= head.seq and known.changes >= head.changes:
            return False
        self._at = _NOWHERE
        return True

    def _is_at(self, head: LedgerHead) -> bool:
        at = self._at
        return (at.id, at.seq, at.link, at.changes) == (head.id, head.seq, head.link, head.changes)

    def _require_same(self, known: Copied, server: LedgerServer, head: LedgerHead) -> None:
        if known.id not in ("", head.id):
            raise StorageError(
                f"{self.path} is a copy of another ledger than {server.place} has now: if that is meant, "
                "delete the copy, and it is made again"
            )
        if known.seq > head.seq:
            raise self._lacking(server, head.seq + 1, known.seq)

    def _require_end(self, known: Copied, server: LedgerServer, remote: Connection) -> None:
        """Raise StorageError unless the server has the newest event of the copy."""
        if known.seq:
            row = remote.execute(statement("link"), (known.seq,)).fetchone()
            if row is None or row[0] != known.link:
                raise self._lacking(server, 0, known.seq)

    def _lacking(self, server: LedgerServer, first: int, last: int) -> StorageError:
        which = f"events {first} to {last}" if first else f"event {last} and maybe earlier ones"
        return StorageError(
            f"the ledger {server.place} lacks {which}, which this machine has seen: the database was "
            "restored from an older backup, or a standby took over that lacked them. They are still in "
            f"{self.path}: keep a copy of it, and delete it to go on without them"
        )


def of_copy(name: str) -> str:
    """A named statement for a copy."""
    return queries(COPY_FOLDER)[name]


def read_copied(connection: sqlite3.Connection) -> Copied:
    """How far a copy goes."""
    found = connection.execute(of_copy("copied")).fetchone()
    return Copied(found[0], found[1], found[2] or FIRST_LINK, found[3])


def _apply_events(
    connection: sqlite3.Connection, remote: Connection, known: Copied, place: str
) -> None:
    """Apply the next events of the server, whole appends only."""
    most = _MOST_EVENTS
    while True:
        rows = remote.execute(statement("events"), (known.seq, most)).fetchall()
        if len(rows) < most:
            break
        # The last append may have more.
        whole = [row for row in rows if row[1] != rows[-1][1]]
        if whole:
            rows = whole
            break
        most *= 4
    link = known.link
    for _, append in groupby(rows, key=itemgetter(1)):
        projector = Projector(connection=connection)
        for row in append:
            link = _apply_event(connection, remote, projector, row, link, place)


def _apply_event(
    connection: sqlite3.Connection,
    remote: Connection,
    projector: Projector,
    row: Row,
    link: bytes,
    place: str,
) -> bytes:
    """Apply one event, and return its link; StorageError if it isn't what was recorded."""
    *fields, body, stored_link, digest, by = row
    where, stored = EventPlace(*fields), stored_body(body)
    text = unstamp(stored)
    found = next_link(
        link, event_leaf(where, body_digest(text) if digest is None else digest.hex())
    )
    if found != stored_link:
        raise StorageError(
            f"event {where.seq} of the ledger {place} is not what was recorded, or an event before it was "
            "removed, added or moved: restore a backup of the database"
        )
    connection.execute(queries()["insert_event"], (*where, stored))
    connection.execute(queries()["insert_link"], (where.seq, found))
    if digest is not None:
        connection.execute(queries()["insert_compacted"], (where.seq, by, digest))
    event = decode_event(text)
    projector.apply(where.seq, where.at, event)
    if isinstance(event, Compacted):
        _replace_bodies(connection, remote, event)
    return found


def _replace_bodies(
    connection: sqlite3.Connection, remote: Connection, compacted: Compacted
) -> None:
    """Give the events that a compaction covers the bodies that it gave them."""
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


def _apply_changes(
    connection: sqlite3.Connection, remote: Connection, after: int, head: LedgerHead
) -> list[str]:
    """Apply changes of leases and people, and note how far the copy goes; return names that are forgotten."""
    for *row, _ in remote.execute(statement("leases"), (after,)).fetchall():
        connection.execute(of_copy("put_lease"), row)
    for *row, _ in remote.execute(statement("people"), (after,)).fetchall():
        connection.execute(queries()["add_person"], row)
    erased = []
    for ref, _ in remote.execute(statement("erased"), (after,)).fetchall():
        row = connection.execute(of_copy("person_row"), (ref,)).fetchone()
        if row is not None:
            erased.append(unstamp(row[1]))
            connection.execute(queries()["remove_person"], (ref,))
    connection.execute(of_copy("move_copy"), (head.id, head.changes))
    return erased


def stored_body(body: bytes) -> str | bytes:
    """A body as a SQLite file stores it: packed, or as text."""
    return body if is_packed(body) else body.decode()


def sent_body(stored: str | bytes) -> bytes:
    """The same as the server stores it."""
    return stored if isinstance(stored, bytes) else stored.encode()


def sent_columns(rows: Sequence[Row]) -> list[list[object]]:
    """The columns of one or more rows, as arrays of a statement."""
    return [list(column) for column in zip(*rows, strict=True)]
