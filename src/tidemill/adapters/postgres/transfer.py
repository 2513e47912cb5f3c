"""Copy whole ledgers: from a SQLite file to a server, and from a server to a file."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.postgres.replica import COPY_FOLDER, Copied, of_copy
from tidemill.adapters.postgres.rows import sent_event, sent_texts
from tidemill.adapters.postgres.server import (
    Connection,
    LedgerHead,
    LedgerServer,
    Row,
    statement,
)
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S
from tidemill.adapters.sqlite.statements import queries, read_script
from tidemill.core.errors import ConflictError, UsageError
from tidemill.ledger.io.lease_holder import describe_holder

# What is recorded while a copy is made is copied once more, until so many times.
_MOST_ROUNDS = 5


class LedgerTransfer:
    """Copies a ledger from and to the database at an address."""

    def __init__(self, address: HomeAddress) -> None:
        self._address = address

    def send(self, source: Path, ledger_id: str) -> None:
        """Copy a ledger's file, which nobody uses, to the server, all of it or nothing.

        UsageError if there is a ledger with events already.
        """
        server = LedgerServer(self._address, lock_s=BUSY_TIMEOUT_S)
        with closing(server), server.locked() as (remote, head):
            with closing(sqlite3.connect(source)) as file:
                if head.seq:
                    self._require_part(file, head, ledger_id)
                    remote.execute(statement("clear_ledger"))
                _send_all(file, remote, ledger_id)
            remote.execute("COMMIT")

    def _require_part(self, file: sqlite3.Connection, head: LedgerHead, ledger_id: str) -> None:
        """Raise UsageError unless the server has a part of the same ledger, of an interrupted move."""
        row = file.execute(of_copy("link_of"), (head.seq,)).fetchone()
        if head.id != ledger_id or row is None or row[0] != head.link:
            raise UsageError(
                f"{self._address.place} has a ledger already: name another database, or another schema with "
                "?schema=NAME"
            )

    def take(self, target: Path, moved_to: str) -> None:
        """Copy the ledger of the server to a new file, and let nobody use the one there any more.

        ConflictError if a run is active.
        """
        for _ in range(_MOST_ROUNDS):
            with closing(PostgresLedger(target, self._address)) as ledger:
                known = ledger.copied
            if self._close(known, moved_to):
                break
        else:
            raise ConflictError(
                f"other machines go on recording in {self._address.place}: end them, then try again"
            )
        with closing(sqlite3.connect(target, isolation_level=None)) as file:
            file.executescript(f"BEGIN; {read_script('ledger.sql', COPY_FOLDER)} COMMIT;")

    def reopen(self) -> None:
        """Let the ledger of the server be used again; StorageError if it can't be reached."""
        server = LedgerServer(self._address, lock_s=BUSY_TIMEOUT_S)
        with closing(server), server.connection() as remote:
            remote.execute(statement("move_away"), ("",))

    def _close(self, known: Copied, moved_to: str) -> bool:
        """Note where the ledger is from now on, if nothing was recorded since it was copied."""
        server = LedgerServer(self._address, lock_s=BUSY_TIMEOUT_S)
        with closing(server), server.locked() as (remote, head):
            held = remote.execute(statement("held_leases")).fetchone()
            if held is not None:
                holder = describe_holder(decode(dict[str, str], held[1]))
                raise ConflictError(
                    f"{holder} is at work in this home ({held[0]}): end it, or wait for it"
                )
            if Copied.of(head) != known:
                return False
            remote.execute(statement("move_away"), (moved_to,))
            remote.execute("COMMIT")
        return True


def _send_all(file: sqlite3.Connection, remote: Connection, ledger_id: str) -> None:
    def copy(name: str, rows: Iterable[Row]) -> None:
        with remote.cursor() as cursor, cursor.copy(statement(name)) as out:
            for row in rows:
                out.write_row(sent_texts(row))

    events = file.execute(of_copy("every_event"))
    last: list[tuple[int, bytes]] = []

    def sent() -> Iterable[Row]:
        for row in events:
            yield sent_event(row)
            last[:] = [(row[0], row[-1])]

    copy("copy_events", sent())
    copy("copy_compacted", file.execute(of_copy("every_compacted")))
    people = file.execute(queries()["every_person"])
    copy("copy_people", people)
    leases = file.execute(of_copy("every_lease"))
    copy("copy_leases", leases)
    remote.execute(statement("name_ledger"), (ledger_id,))
    if last:
        marks = secrets.token_hex(8), secrets.token_hex(8)
        remote.execute(statement("move_head"), (*last[0], *marks))
