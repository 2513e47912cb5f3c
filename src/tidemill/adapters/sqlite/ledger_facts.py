"""Look at a ledger's file without changing it: not even an upgrade is begun."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import field
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.adapters.sqlite.connections import APPLICATION_ID, READ_ERRORS
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass

# The structure of a larger file isn't checked unasked: that takes a second for a GB or two.
_CHECKED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """What a ledger's file says of itself; sizes in bytes, the time of the newest event in Unix seconds.

    `problem` says why it can't be read, `damage` what is damaged; `checked` is False if its structure wasn't
    checked, because it is large. `leases` are held ones by name, with descriptions of their holders.
    """

    problem: str = ""
    damage: str = ""
    checked: bool = True
    bytes: int = 0
    log_bytes: int = 0
    version: int = 0
    known_version: int = SCHEMA_VERSION
    events: int = 0
    newest: float | None = None
    leases: Mapping[str, str] = field(default_factory=dict)


def look_at_ledger(path: Path, *, full: bool = False) -> LedgerFacts:
    """Read the facts of a ledger's file, and check its structure, of a large one only with `full`."""
    sizes = {"bytes": _size(path), "log_bytes": _size(Path(f"{path}-wal"))}
    try:
        with closing(_open(path)) as connection:
            return _read(connection, sizes, full)
    except READ_ERRORS as error:
        problem = _plain(error)
        return LedgerFacts(problem=problem, bytes=sizes["bytes"], log_bytes=sizes["log_bytes"])


def _open(path: Path) -> sqlite3.Connection:
    # Without a log no process has it open, and SQLite would make one even to read.
    options = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=1.0)


def _read(connection: sqlite3.Connection, sizes: Mapping[str, int], full: bool) -> LedgerFacts:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        problem = "it isn't a Tidemill ledger" if sizes["bytes"] else "it is empty"
        return LedgerFacts(problem=problem, bytes=sizes["bytes"], log_bytes=sizes["log_bytes"])
    checked = full or sizes["bytes"] <= _CHECKED_BYTES
    damage = _check(connection) if checked else ""
    facts = connection.execute(queries()["newest_event"]).fetchone()
    return LedgerFacts(
        damage=damage,
        checked=checked,
        bytes=sizes["bytes"],
        log_bytes=sizes["log_bytes"],
        version=version,
        events=facts[0] if facts else 0,
        newest=float(facts[1]) if facts else None,
        leases=_leases(connection),
    )


def _check(connection: sqlite3.Connection) -> str:
    """What SQLite finds damaged in the structure of the file; "" if nothing."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else _plain(found)


def _leases(connection: sqlite3.Connection) -> dict[str, str]:
    found = {}
    for name, holder in connection.execute(queries()["active_leases"]).fetchall():
        with suppress(StorageError):
            found[str(name)] = describe_holder(decode(dict[str, str], holder))
    return found


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _plain(text: object) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in str(text))
