"""Copy whole ledgers: from a SQLite file to a server, and from a server to a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.postgres.replica import COPY_FOLDER, of_copy, sent_body
from tidemill.adapters.postgres.server import (
    Connection,
    LedgerServer,
    Row,
    connect,
    statement,
)
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S
from tidemill.adapters.sqlite.statements import queries, read_script
from tidemill.core.errors import ConflictError, UsageError

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
        with closing(server), server.connection() as remote:
            if server.head().seq:
                raise UsageError(
                    f"{self._address.place} has a ledger already: name another database, or another schema "
                    "with ?schema=NAME"
                )
            with remote.transaction(), closing(sqlite3.connect(source)) as file:
                _send_all(file, remote, ledger_id)

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
        """Let the ledger of the server be used again."""
        with closing(connect(self._address, autocommit=True)) as remote:
            remote.execute(statement("use_schema"), (self._address.schema,))
            remote.execute(statement("move_away"), ("",))

    def _close(self, known: tuple[int, int], moved_to: str) -> bool:
        """Note where the ledger is from now on, if nothing was recorded since it was copied."""
        server = LedgerServer(self._address, lock_s=BUSY_TIMEOUT_S)
        with closing(server), server.locked() as (remote, head):
            held = remote.execute(statement("held_leases")).fetchone()
            if held is not None:
                holder = describe_holder(decode(dict[str, str], held[1]))
                raise ConflictError(f"a run is active in {held[0]}: {holder}; wait for it to end")
            if (head.seq, head.changes) != known:
                return False
            remote.execute(statement("move_away"), (moved_to,))
            remote.execute("COMMIT")
        return True


def _send_all(file: sqlite3.Connection, remote: Connection, ledger_id: str) -> None:
    def copy(name: str, rows: Iterable[Row]) -> None:
        with remote.cursor() as cursor, cursor.copy(statement(name)) as out:
            for row in rows:
                out.write_row(row)

    events = file.execute(of_copy("every_event"))
    last: list[tuple[int, bytes]] = []

    def sent() -> Iterable[Row]:
        for *fields, body, link in events:
            yield (*fields, sent_body(body), link)
            last[:] = [(fields[0], link)]

    copy("copy_events", sent())
    copy("copy_compacted", file.execute(of_copy("every_compacted")))
    people = file.execute(queries()["every_person"])
    copy("copy_people", ((*row, 1) for row in people))
    leases = file.execute(of_copy("every_lease"))
    copy("copy_leases", ((*row, 1) for row in leases))
    remote.execute(statement("name_ledger"), (ledger_id,))
    if last:
        remote.execute(statement("move_head"), (*last[0], 1))
