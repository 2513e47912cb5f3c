"""Replace the bodies of old events by smaller ones, batch by batch, beside running work.

An event that nothing refers to any more loses its details (ledger/compacted.py); of others from before schema
17, the text is compressed. Once nothing refers to an event, nothing ever will: what is recorded
later refers to itself. So which events lose details is decided outside of the transaction that replaces them.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeGuard

from tidemill.adapters.codec.events import decode_event, encode, encode_event, encode_sparse
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S, Connections
from tidemill.adapters.sqlite.event_chain import EventWriter, event_place
from tidemill.adapters.sqlite.file_space import pack_pages, shrink
from tidemill.adapters.sqlite.garbage import marked_events
from tidemill.adapters.sqlite.packed_text import is_packed, pack
from tidemill.adapters.sqlite.people import KnownPeople, PeopleWriter
from tidemill.adapters.sqlite.projections import Projector
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.state_reader import read_last_seq
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.counts import are
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.compacted import COMPACTED_KINDS, CompactionDigest, compacted_event
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.compaction_report import CompactionReport, CompactionTerms
from tidemill.ledger.event import Computed, Event, Published, RunEnded
from tidemill.ledger.event_digest import body_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Smaller:
    """The new body of an event; `whole` is the digest of the old one if it lost details."""

    seq: int
    kind: str
    text: str
    packed: bytes
    before: int
    whole: str = ""
    run: str = ""
    receipt: str = ""


class SqliteCompaction:
    """Compacts the ledger in the file `path`, through the connections that `connect` opens to it.

    Events are taken out and put back, so these don't enforce foreign keys: in between, what refers to an
    event has nothing to refer to.
    """

    def __init__(self, path: Path, connect: Callable[[], Connections] | None = None) -> None:
        self._path = path
        self._connect = connect or partial(Connections, path, BUSY_TIMEOUT_S, foreign_keys=False)

    def compact(
        self, terms: CompactionTerms, *, now: float, actor: str = "", dry_run: bool = False
    ) -> CompactionReport:
        found = _Progress(file_before=_file_size(self._path))
        connections = self._connect()
        try:
            with connections.read_transaction() as connection:
                until = read_last_seq(connection)
                needs = _Needs.read(connection, until)
                after = _last_compacted(connection) if terms.goes_on else 0
            where = {
                "after": after,
                "until": until,
                "before": now - terms.after_s,
                "limit": terms.batch,
            }
            pages = _pages(connections, needs, where, found)
            for page in pages:
                if not dry_run:
                    page = _replace(connections, page, now=now, actor=actor)
                found.add(page)
        finally:
            connections.close()
        if not dry_run:
            found.notes += shrink(self._path, found.saved)
        return found.report(file_after=_file_size(self._path))


@dataclass(slots=True, kw_only=True)
class _Progress:
    file_before: int
    events: Counter[str] = field(default_factory=Counter)
    packed: int = 0
    before: int = 0
    after: int = 0
    unreadable: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, page: Collection[_Smaller]) -> None:
        self.events.update(each.kind for each in page if each.whole)
        self.packed += sum(1 for each in page if not each.whole)
        self.before += sum(each.before for each in page)
        self.after += sum(len(each.packed) for each in page)

    @property
    def saved(self) -> int:
        return self.before - self.after

    def report(self, file_after: int) -> CompactionReport:
        notes = list(self.notes)
        if self.unreadable:
            notes.append(
                f"{are(self.unreadable, 'event')} damaged and stayed as they are: `tidemill verify` says more"
            )
        return CompactionReport(
            events=dict(sorted(self.events.items())),
            packed=self.packed,
            bytes_before=self.before,
            bytes_after=self.after,
            file_before=self.file_before,
            file_after=file_after,
            notes=tuple(notes),
        )


class _Needs:
    """Which events are needed in full, and which are traces of results that can be reused; a bit for each."""

    def __init__(self, until: int, running: frozenset[str]) -> None:
        self._needed, self._traced = bytearray(until // 8 + 1), bytearray(until // 8 + 1)
        self._until = until
        self.running = running

    @classmethod
    def read(cls, connection: sqlite3.Connection, until: int) -> _Needs:
        """Read what is bound, reused, ruled on, known of sources, or marked by a sweep."""
        needs = cls(until, frozenset(run for (run,) in connection.execute(queries()["running"])))
        for name in ("bound_facts", "ruled_facts", "source_facts"):
            needs._add(needs._needed, connection.execute(queries()[name]))
        needs._add(needs._traced, connection.execute(queries()["traced_facts"]))
        needs._add(needs._needed, ((seq,) for seq in marked_events(connection)))
        return needs

    def _add(self, bits: bytearray, rows: Iterable[tuple[int]]) -> None:
        for (seq,) in rows:
            if 0 < seq <= self._until:
                bits[seq >> 3] |= 1 << (seq & 7)

    def __contains__(self, seq: int) -> bool:
        return seq > self._until or _has(self._needed, seq)

    def has_trace(self, seq: int) -> bool:
        """Whether an event is the trace of a result that can be reused."""
        return seq > self._until or _has(self._traced, seq)


def _has(bits: bytearray, seq: int) -> bool:
    return bool(bits[seq >> 3] & (1 << (seq & 7)))


def _pages(
    connections: Connections,
    needs: _Needs,
    where: Mapping[str, float],
    found: _Progress,
) -> Iterator[list[_Smaller]]:
    """The smaller bodies of old events, page by page."""
    while True:
        with connections.read_transaction() as connection:
            rows = connection.execute(queries()["whole_bodies"], where).fetchall()
            if not rows:
                return
            explained = _explained(connection, rows, needs)
            page = _smaller_bodies(rows, needs, explained, found)
            page = _without_traced(connection, page)
        where = {**where, "after": rows[-1][0]}
        if page:
            yield [each for each, _ in page]


def _last_compacted(connection: sqlite3.Connection) -> int:
    """The last event that the newest compaction replaced; 0 if there is no compaction that can be read."""
    row = connection.execute(queries()["last_seq_of_kind"], (Compacted.__name__,)).fetchone()
    found = connection.execute(queries()["stored_event"], (row[0],)).fetchone()
    try:
        event = decode_event(unstamp(found[-1])) if found is not None else None
    except StorageError:
        return 0
    return event.last if isinstance(event, Compacted) else 0


def _explained(
    connection: sqlite3.Connection, rows: Sequence[Any], needs: _Needs
) -> set[tuple[int, str, str]]:
    """The appends and places of publications that are needed: the attempts at them explain them."""
    tried = [row for row in rows if row[2] == "Attempted"]
    if not tried:
        return set()
    where = {"first": tried[0][0], "last": tried[-1][0], "batch": tried[-1][1]}
    published = connection.execute(queries()["published_among"], where)
    return {
        (batch, stage, partition)
        for seq, batch, stage, partition in published
        if seq in needs or needs.has_trace(seq)
    }


def _smaller_bodies(
    rows: Sequence[Any], needs: _Needs, explained: set[tuple[int, str, str]], found: _Progress
) -> list[tuple[_Smaller, str]]:
    """The smaller bodies of a page of events, each with the key of what it could be reused for, or ""."""
    page = []
    for seq, batch, kind, run, stage, partition, body in rows:
        if run in needs.running:
            continue
        is_needed = seq in needs or (kind == "Attempted" and (batch, stage, partition) in explained)
        # What is packed already has nothing more to lose while it is needed.
        if is_needed and is_packed(body):
            continue
        loses = kind in COMPACTED_KINDS and not is_needed
        try:
            each = _smaller(seq, kind, body, loses=loses, is_traced=needs.has_trace(seq))
        except StorageError:
            found.unreadable += 1
            continue
        if each[0].whole or not is_packed(body):
            page.append(each)
    return page


def _smaller(
    seq: int, kind: str, stored: str | bytes, *, loses: bool, is_traced: bool
) -> tuple[_Smaller, str]:
    text = unstamp(stored)
    plain = _Smaller(seq=seq, kind=kind, text=text, packed=b"", before=_size(stored))
    key = ""
    if loses:
        event = decode_event(text)
        # Without objects there is nothing that a sweep would remove before.
        short = event if is_traced and _has_objects(event) else compacted_event(event)
        if short is not event:
            smaller = encode_event(short, is_sparse=True)
            plain = replace(plain, text=smaller, whole=body_digest(text))
            if isinstance(short, RunEnded) and short.receipt is not None:
                plain = replace(plain, run=short.run, receipt=encode_sparse(short.receipt))
            if _has_objects(short):
                key = short.binding.key
    return replace(plain, packed=pack(plain.text)), key


def _has_objects(event: Event) -> TypeGuard[Published | Computed]:
    return isinstance(event, Published | Computed) and bool(event.binding.product.all_objects)


def _size(stored: str | bytes) -> int:
    return len(stored if isinstance(stored, bytes) else stored.encode())


def _without_traced(
    connection: sqlite3.Connection, page: list[tuple[_Smaller, str]]
) -> list[tuple[_Smaller, str]]:
    """Leave out what was published under keys whose results can still be reused."""
    keys = sorted({key for _, key in page if key})
    if not keys:
        return page
    found = connection.execute(queries()["traced_keys"], (encode(keys),))
    traced = {key for (key,) in found}
    return [(each, key) for each, key in page if key not in traced]


def _replace(
    connections: Connections, page: list[_Smaller], *, now: float, actor: str
) -> list[_Smaller]:
    """Replace bodies in one transaction; return those that no other compaction has replaced yet."""
    with connections.write_transaction() as connection:
        connection.create_function("is_same_fact", 3, is_same_fact, deterministic=True)
        wanted = encode([each.seq for each in page])
        left = dict(connection.execute(queries()["uncompacted_among"], (wanted,)).fetchall())
        # Another compaction may have replaced them meanwhile.
        page = [each for each in page if each.seq in left and (each.whole or not left[each.seq])]
        if not page:
            return page
        by = read_last_seq(connection) + 1
        smaller = [each for each in page if each.whole]
        rows = [(each.seq, by, bytes.fromhex(each.whole)) for each in smaller]
        connection.executemany(queries()["insert_compacted"], rows)
        bodies = [(each.packed, each.seq) for each in page]
        connection.executemany(queries()["replace_body"], bodies)
        receipts = [(each.receipt, each.run) for each in page if each.receipt]
        connection.executemany(queries()["replace_receipt"], receipts)
        pack_pages(connection, page[0].seq, page[-1].seq, len(page))
        _record(connection, _event(page, actor), seq=by, now=now)
    return page


def _event(page: Sequence[_Smaller], actor: str) -> Compacted:
    digest = CompactionDigest()
    for each in page:
        if each.whole:
            digest.add(each.seq, each.text)
    kinds = Counter(each.kind for each in page if each.whole)
    return Compacted(
        first=page[0].seq,
        last=page[-1].seq,
        sha256=digest.sha256,
        events=dict(sorted(kinds.items())),
        packed=len(page) - digest.count,
        bytes_before=sum(each.before for each in page),
        bytes_after=sum(len(each.packed) for each in page),
        actor=actor,
    )


def _record(connection: sqlite3.Connection, event: Compacted, *, seq: int, now: float) -> None:
    writer = EventWriter(connection)
    stored, body = PeopleWriter(connection, KnownPeople()).refer(event)
    writer.write(event_place(stored, seq=seq, batch=seq, at=now), body)
    Projector(connection=connection).apply(seq, now, stored)
    writer.write_links()


def is_same_fact(old: object, new: object, digest: bytes | None) -> bool:
    """Whether a body is replaced by the same text, or by a smaller one whose whole digest is noted."""
    if not is_packed(new):
        return False
    was, now = unstamp(old), unstamp(new)
    return was == now if digest is None else sha256(was.encode()).digest() == digest


def _file_size(path: Path) -> int:
    """The size of a ledger's file and its write-ahead log."""
    return sum(os.path.getsize(name) for name in (str(path), f"{path}-wal") if os.path.exists(name))
