"""Check a ledger's file, and make a new ledger from events.

The file is read with SQL that survives damage as far as possible: event by event, and texts as bytes.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tidemill.adapters.codec.events import decode_event, encode_event, event_scope
from tidemill.adapters.files.disk import storage_error
from tidemill.adapters.sqlite.connections import (
    BUSY_TIMEOUT_S,
    READ_ERRORS,
    Connections,
    is_busy,
    is_forbidden,
    read_schema_version,
    refuse_newer_schema,
    unreadable_ledger,
)
from tidemill.adapters.sqlite.event_chain import EventWriter, chain_faults, event_place
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.adapters.sqlite.people import damaged_names
from tidemill.adapters.sqlite.projections import Projector
from tidemill.adapters.sqlite.scratch_folder import scratch_folder
from tidemill.adapters.sqlite.stamps import read_text, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.counts import are, listed
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.event import Computed, Event, Published, Settled
from tidemill.ledger.event_digest import EventPlace
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.retention_events import SweepConfirmed, SweepMarked

# Not derived from events: how the file came about, and who may act now.
_NOT_DERIVED = ("leases", "migrations", "events", "links", "compacted", "people")
# What these say of a complete ledger, or of how it is stored, isn't true of one with other events.
_ABOUT_NUMBERS = (Settled, Compacted)
_WITHOUT_DETAILS = "its details were compacted"
# SQLite lists at most so many faults; each table adds one.
_MOST = 20
# So many links are written at once.
_MOST_PENDING = 1_000
# For another process that has the file for itself.
WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as the file has it; `batch` is the number of the first one of its append.

    `body` is the text that was written: a newer version might write the same event in another way. If it
    was replaced by a smaller one, `whole` is the digest of what it was, and `compacted_by` the event that
    covers it.
    """

    seq: int
    batch: int
    at: float
    event: Event
    body: str
    whole: str = ""
    compacted_by: int = 0


def find_damage(path: Path) -> list[str]:
    """Describe everything that is wrong with a ledger's file; an intact one gives an empty list.

    Of one of an earlier schema only the file and the events are looked at. StorageError for a newer schema.
    """
    if not path.exists():
        return []
    try:
        with closing(open_survivor(path)) as connection:
            # What is recorded meanwhile would be in some tables, and not in others.
            connection.execute("BEGIN")
            found = [*_structure_faults(connection), *_event_faults(connection)]
            if read_schema_version(connection) < SCHEMA_VERSION:
                # What its other tables have isn't what the events give now.
                return found
            found += damaged_names(connection)
            return found or [*chain_faults(connection), *_projection_faults(path, connection)]
    except READ_ERRORS as error:
        if is_busy(error) or is_forbidden(error):
            raise unreadable_ledger(str(path), error) from error
        return [_plain(error)]
    except OSError as error:
        # There is no place for the tables that are compared.
        raise storage_error(error, f"the ledger {path}") from error


def upgrade(path: Path) -> None:
    """Upgrade a ledger of an earlier schema, as whatever opens it does; StorageError if that fails."""
    if not path.exists():
        return
    version = 0
    with suppress(*READ_ERRORS), closing(open_survivor(path)) as connection:
        version = read_schema_version(connection)
    if 0 < version < SCHEMA_VERSION:
        Connections(path, BUSY_TIMEOUT_S).close()


def find_chain_fault(path: Path) -> str:
    """Say where the hash chain of events that can be read is broken; "" if it isn't."""
    with suppress(*READ_ERRORS), closing(open_survivor(path)) as connection:
        if not [*_structure_faults(connection), *_event_faults(connection)]:
            return next(chain_faults(connection), "")
    return ""


def read_events(path: Path) -> tuple[list[StoredEvent], list[int]]:
    """Return the events of a ledger's file that can be read, and the numbers of those that can't.

    StorageError if not even their numbers can be read.
    """
    try:
        with closing(open_survivor(path)) as connection:
            return events_in(connection, path)
    except READ_ERRORS as error:
        raise unreadable_ledger(str(path), error) from error


def events_in(connection: sqlite3.Connection, path: Path) -> tuple[list[StoredEvent], list[int]]:
    """The same of a file that is open already."""
    try:
        numbers = _numbers(connection)
        found = [_event(connection, seq) for seq in numbers]
    except READ_ERRORS as error:
        raise unreadable_ledger(str(path), error) from error
    return [e for e in found if e is not None], [
        seq for seq, event in zip(numbers, found, strict=True) if event is None
    ]


def rebuild_from(events: Iterable[StoredEvent], target: Path, *, is_complete: bool) -> int:
    """Make a new ledger of events in the file `target`; return how many were left out.

    Some may be missing unless `is_complete`: then the others get new numbers, completion marks are left
    out, and so are events that contradict what is left. Smaller bodies are then taken as whole ones, and the
    events that cover them are left out as well; what they were about isn't reused, as if it was swept.
    """
    connections, left_out = Connections(target, BUSY_TIMEOUT_S), 0
    try:
        with connections.write_transaction() as connection:
            projector, batch, first, seq = Projector(connection=connection), 0, 0, 0
            writer, numbers = EventWriter(connection), dict[int, int]()
            for stored in events if is_complete else _with_mark(events):
                if stored.batch != batch:
                    if writer.pending >= _MOST_PENDING:
                        writer.write_links()
                    projector = Projector(connection=connection)
                    batch, first = stored.batch, seq + 1
                if not is_complete and isinstance(stored.event, _ABOUT_NUMBERS):
                    left_out += 1
                    continue
                number = stored.seq if is_complete else seq + 1
                own = stored.batch if is_complete else first
                place = event_place(stored.event, seq=number, batch=own, at=stored.at)
                known = stored if is_complete else _renumbered(stored, numbers)
                if _add(writer, projector, place, known, is_complete=is_complete):
                    seq = number
                    if not is_complete:
                        numbers[stored.seq] = number
                else:
                    left_out += 1
            writer.write_links()
    finally:
        connections.close()
    return left_out


def _with_mark(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """The events, and at the end one that marks the results that lost their details.

    The sweep that marked them, or what was recorded under their keys before, may be missing.
    """
    marks: dict[str, list[int]] = {}
    last: StoredEvent | None = None
    for last in events:
        if last.whole and isinstance(last.event, Published | Computed):
            marks.setdefault(last.event.stage, []).append(last.seq)
        yield last
    if last is None or not marks:
        return
    event = SweepMarked(
        sweep="",
        marks=tuple(
            MarkedEvents(stage=stage, reason=_WITHOUT_DETAILS, events=tuple(seqs))
            for stage, seqs in marks.items()
        ),
    )
    seq = last.seq + 1
    yield StoredEvent(seq=seq, batch=seq, at=last.at, event=event, body=encode_event(event))


def _renumbered(stored: StoredEvent, numbers: Mapping[int, int]) -> StoredEvent:
    """The same event with the new numbers of the events that it names; those that are missing go."""
    event: Event = stored.event
    if isinstance(event, SweepMarked):
        marks = tuple(
            replace(mark, events=tuple(numbers[seq] for seq in mark.events if seq in numbers))
            for mark in event.marks
        )
        event = replace(event, marks=marks)
    elif isinstance(event, SweepConfirmed):
        event = replace(event, marked=tuple(numbers[s] for s in event.marked if s in numbers))
    else:
        return stored
    return replace(stored, event=event, body=encode_event(event))


def _add(
    writer: EventWriter,
    projector: Projector,
    place: EventPlace,
    stored: StoredEvent,
    *,
    is_complete: bool,
) -> bool:
    """Record an event and derive what follows from it; False if it contradicts the others."""
    connection, is_written = projector.connection, False
    connection.execute("SAVEPOINT one")
    try:
        whole = stored.whole if is_complete else ""
        writer.write(place, stored.body, whole=whole, compacted_by=stored.compacted_by)
        is_written = True
        projector.apply(place.seq, place.at, stored.event)
    except (ConflictError, sqlite3.IntegrityError):
        if is_complete:
            raise
        connection.execute("ROLLBACK TO one")
        if is_written:
            writer.undo()
        return False
    finally:
        connection.execute("RELEASE one")
    return True


def open_survivor(path: Path) -> sqlite3.Connection:
    """Open a ledger's file that may be damaged; texts are read as bytes. StorageError for a newer schema."""
    connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    try:
        with suppress(*READ_ERRORS):
            refuse_newer_schema(connection, read_schema_version(connection), str(path))
            # A ledger from before has no such table; where there is one, this is not used.
            if connection.execute(queries()["has_compacted"]).fetchone() is None:
                connection.execute(queries()["no_compacted"])
    except StorageError:
        connection.close()
        raise
    connection.text_factory = bytes
    return connection


def _structure_faults(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA integrity_check({_MOST})"):
        if line != b"ok":
            yield from (_plain(part) for part in line.decode(errors="replace").splitlines())
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield _plain(f"row {row} of {table.decode()} refers to a missing row of {parent.decode()}")


def _event_faults(connection: sqlite3.Connection) -> Iterator[str]:
    numbers = _numbers(connection)
    for place, seq in enumerate(numbers, 1):
        if place != seq:
            yield f"event {place} is missing: the events of a ledger are numbered without a gap"
            break
    damaged = [seq for seq in numbers if _event(connection, seq) is None]
    if damaged:
        yield f"{are(len(damaged), 'event')} not what was recorded: {listed(damaged)}"


def _projection_faults(path: Path, connection: sqlite3.Connection) -> Iterator[str]:
    """Compare the tables that are derived from events with those that the events give."""
    # All of them can be read. They are read again, one by one, because they may be many.
    events = (event for seq in _numbers(connection) if (event := _event(connection, seq)))
    with scratch_folder(path) as folder:
        copy = folder / "rebuilt.db"
        try:
            rebuild_from(events, copy, is_complete=True)
        except TidemillError as error:
            yield f"the events contradict each other: {error}"
            return
        with closing(open_survivor(copy)) as rebuilt:
            for table in _derived_tables(rebuilt):
                if not _are_equal(connection, rebuilt, table):
                    yield f"the table {table} isn't what the events give"


def _derived_tables(connection: sqlite3.Connection) -> list[str]:
    names = [name.decode() for (name,) in connection.execute(queries()["tables"])]
    return [name for name in names if name not in _NOT_DERIVED]


def _are_equal(connection: sqlite3.Connection, rebuilt: sqlite3.Connection, table: str) -> bool:
    """Whether a table has the same rows in two files, which are read side by side."""
    key = [f'"{name.decode()}"' for (name,) in rebuilt.execute(queries()["key_columns"], (table,))]
    query = f"SELECT * FROM {table} ORDER BY {', '.join(key)}"
    rows = zip_longest(connection.execute(query), rebuilt.execute(query))
    return all(one == other or _comparable(one) == _comparable(other) for one, other in rows)


def _comparable(row: tuple[Any, ...] | None) -> list[Any] | None:
    return None if row is None else [_comparable_value(value) for value in row]


def _comparable_value(value: Any) -> Any:
    if isinstance(value, float):
        # A mean that a migration computed may differ in its last digits.
        return float(f"{value:.9g}")
    if isinstance(value, bytes) and value.startswith(b"{"):
        # A number may be written as 0 or as 0.0, and an earlier version didn't write all empty fields.
        text, _, mark = value.partition(b"\n")
        with suppress(ValueError):
            fields = json.loads(text, parse_int=float)
            return json.dumps({key: each for key, each in fields.items() if each}), bool(mark)
    return value


def _numbers(connection: sqlite3.Connection) -> Sequence[int]:
    """The numbers of all events that the table or an index has."""
    try:
        rows = connection.execute(queries()["event_numbers"])
        return array("q", (seq for (seq,) in rows))
    except sqlite3.DatabaseError:
        # A page of the table can't be read.
        rows = connection.execute(queries()["indexed_event_numbers"])
        return array("q", (seq for (seq,) in rows))


def _event(connection: sqlite3.Connection, seq: int) -> StoredEvent | None:
    """One event, None if it isn't what was recorded."""
    try:
        row = connection.execute(queries()["stored_event"], (seq,)).fetchone()
        batch, at, digest, by, *scope, body = row
        text = unstamp(read_text(body))
        event = decode_event(text)
        written = [None if part is None else part.decode() for part in scope]
        if written != [type(event).__name__, *event_scope(event)] or not 0 < batch <= seq:
            return None
        return StoredEvent(
            seq=seq,
            batch=batch,
            at=float(at),
            event=event,
            body=text,
            whole="" if digest is None else digest.hex(),
            compacted_by=by or 0,
        )
    except (sqlite3.Error, StorageError, AttributeError, TypeError, ValueError):
        return None


def _plain(text: object) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in str(text))
