"""Look at a ledger's file without changing it: not even an upgrade is begun."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.adapters.codec.events import decode
from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.adapters.sqlite.connections import APPLICATION_ID, READ_ERRORS
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError

_INSTRUCTIONS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """What a ledger's file says of itself; sizes in bytes, the time of the newest event in Unix seconds.

    `problem` says why it can't be read, `damage` what is damaged; `checked` is False if there was no time to
    check all of it. `leases` are held ones by name, with descriptions of their holders.
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


def look_at_ledger(path: Path, *, check_s: float = 5.0) -> LedgerFacts:
    """Read the facts of a ledger's file, and check its structure for up to `check_s` seconds."""
    sizes = {"bytes": _size(path), "log_bytes": _size(Path(f"{path}-wal"))}
    try:
        with closing(_open(path)) as connection:
            return _read(connection, sizes, check_s)
    except READ_ERRORS as error:
        problem = _plain(error)
        return LedgerFacts(problem=problem, bytes=sizes["bytes"], log_bytes=sizes["log_bytes"])


def _open(path: Path) -> sqlite3.Connection:
    # Without a log no process has it open, and SQLite would make one even to read.
    options = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=1.0)


def _read(connection: sqlite3.Connection, sizes: Mapping[str, int], check_s: float) -> LedgerFacts:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        problem = "it isn't a Tidemill ledger" if sizes["bytes"] else "it is empty"
        return LedgerFacts(problem=problem, bytes=sizes["bytes"], log_bytes=sizes["log_bytes"])
    damage, checked = _check(connection, check_s)
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


def _check(connection: sqlite3.Connection, seconds: float) -> tuple[str, bool]:
    """What SQLite finds damaged, "" if nothing, and whether it could look at everything."""
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return "", False
    finally:
        connection.set_progress_handler(None, 0)
    return ("" if found == "ok" else _plain(found)), True


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
