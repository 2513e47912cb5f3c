"""Schema migrations of the SQLite ledger, from numbered SQL files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping

from tidemill.adapters.codec.events import decode, decode_event, encode, encode_sparse
from tidemill.adapters.sqlite.event_chain import link_function
from tidemill.adapters.sqlite.listing_tables import backfill_listings
from tidemill.adapters.sqlite.result_backfill import backfill_results
from tidemill.adapters.sqlite.stamps import stamp, unstamp
from tidemill.adapters.sqlite.statements import FOLDER, queries, read_script, without_comments
from tidemill.core.errors import StorageError
from tidemill.ledger.event_subjects import KINDS_WITH_SUBJECTS, subjects_of
from tidemill.ledger.run import Receipt

SCHEMA_VERSION = 17
# A trigger names this function. Programs of schemas before 14 don't have it, so they can't append any more.
_UPGRADED = "a_newer_tidemill_upgraded_this_ledger_so_end_this_process_and_start_it_again"
# What fills the tables of a version where SQL alone can't.
_BACKFILLS: Mapping[int, Callable[[sqlite3.Connection], None]] = {
    13: backfill_results,
    15: backfill_listings,
}


def migrate(connection: sqlite3.Connection, tidemill_version: str) -> None:
    """Apply all missing migrations inside the open transaction; `tidemill` is the version recorded."""
    (current,) = connection.execute("PRAGMA user_version").fetchone()
    add_functions(connection)
    for version, statements in migrations(current):
        for statement in statements:
            connection.execute(statement)
        if version in _BACKFILLS:
            _BACKFILLS[version](connection)
        connection.execute(queries()["record_migration"], (version, tidemill_version))
        connection.execute(f"PRAGMA user_version = {version}")


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that migrations call to a connection."""
    connection.create_function("stamped", 1, stamp, deterministic=True)
    connection.create_function("linked", 9, link_function())
    connection.create_function("subjects_of", 1, _stored_subjects, deterministic=True)
    kinds = encode(KINDS_WITH_SUBJECTS)
    connection.create_function("kinds_with_subjects", 0, lambda: kinds, deterministic=True)
    connection.create_function("sparse_receipt", 1, _sparse_receipt, deterministic=True)


def allow_appends(connection: sqlite3.Connection) -> None:
    """Let a connection append events, which one of an earlier schema can't, and store none anew."""
    connection.create_function(_UPGRADED, 0, lambda: 0)
    connection.create_function("is_stored_anew", 1, lambda _: 0)


def _stored_subjects(body: str) -> str:
    """The subjects of a stored event, as a JSON list; none of a damaged one."""
    try:
        return encode(subjects_of(decode_event(unstamp(body))))
    except StorageError:
        return "[]"


def _sparse_receipt(receipt: str) -> str:
    """A receipt without fields that hold their default; one that can't be read as it is."""
    try:
        return encode_sparse(decode(Receipt, receipt))
    except StorageError:
        return receipt


def migrations(after: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each schema version above `after`, in order, with the statements that lead to it."""
    for file in sorted(name for name in os.listdir(FOLDER) if name[:4].isdigit()):
        if int(file[:4]) > after:
            yield int(file[:4]), list(_split_statements(read_script(file)))


def _split_statements(script: str) -> Iterator[str]:
    """Split a script into statements; triggers contain semicolons, so SQLite finds the ends."""
    pending = ""
    for line in without_comments(script).splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
