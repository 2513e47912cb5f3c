"""Change what an event says, as somebody does who can write the file: what an audit has to find."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tidemill.adapters.sqlite.packed_text import pack, unpack


def replace_text(ledger: Path, kind: str, before: str, after: str) -> None:
    """Replace a text in all events of a kind, and leave their chain as it is."""
    with closing(sqlite3.connect(ledger)) as connection:
        # Whoever knows how events are stored can also drop what refuses to change them.
        connection.execute("DROP TRIGGER events_refuse_update")
        events = connection.execute(
            "SELECT seq, body FROM events WHERE kind = ?", (kind,)
        ).fetchall()
        connection.executemany(
            "UPDATE events SET body = ? WHERE seq = ?",
            [(pack(unpack(body).replace(before, after)), seq) for seq, body in events],
        )
        connection.commit()
