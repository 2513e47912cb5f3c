"""The tables that listings need: what fills them, also in a ledger from before them."""

from __future__ import annotations

import sqlite3

from tidemill.adapters.codec.events import decode_event
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError
from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event, Judged, Published

_KINDS = ("Published", "Judged", "EnvironmentCreated", "EnvironmentDropped")
_COPIED = ("contract_versions", "stale_tables")


def backfill_listings(connection: sqlite3.Connection) -> None:
    """Replay the events that the tables rest on; one that can't be read tells nothing."""
    rows = connection.execute(
        f"SELECT seq, body FROM events WHERE kind IN ({', '.join('?' * len(_KINDS))}) ORDER BY seq",
        _KINDS,
    )
    writer = connection.cursor()
    for seq, body in rows:
        event = _read(body)
        if isinstance(event, EnvironmentCreated):
            for table in _COPIED:
                writer.execute(queries()[f"copy_{table}"], (event.environment, event.parent))
        elif isinstance(event, EnvironmentDropped):
            for table in _COPIED:
                writer.execute(queries()[f"drop_{table}"], (event.environment,))
        elif event is not None:
            note_for_listings(writer, seq, event)


def note_for_listings(writer: sqlite3.Connection | sqlite3.Cursor, seq: int, event: Event) -> None:
    """Record what listings need of a publication or a verdict."""
    if isinstance(event, Published):
        place = (event.environment, event.stage, event.binding.contract)
        writer.execute(queries()["note_contract"], (*place, seq, seq))
        if event.binding.product.quarantined:
            writer.execute(queries()["note_quarantined"], (seq,))
    elif isinstance(event, Judged):
        table = (event.environment, event.stage)
        if event.verdict.findings:
            writer.execute(queries()["note_stale"], (*table, seq))
        else:
            writer.execute(queries()["drop_stale"], table)


def _read(body: str) -> Event | None:
    try:
        return decode_event(unstamp(body))
    except StorageError:
        return None
