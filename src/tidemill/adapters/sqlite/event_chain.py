"""Write events and the hash chain through them, and read all that is stored of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from tidemill.adapters.codec.events import event_scope
from tidemill.adapters.sqlite.packed_text import pack
from tidemill.adapters.sqlite.stamps import read_text, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError
from tidemill.ledger.compacted import CompactionCheck
from tidemill.ledger.event import Event
from tidemill.ledger.event_digest import (
    FIRST_LINK,
    ChainedEvent,
    EventPlace,
    body_digest,
    event_leaf,
    next_link,
)


class OtherEventsError(StorageError):
    """A ledger's events aren't those that were recorded."""


class EventWriter:
    """Writes events to the end of a ledger; their links are written when all events are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._insert = partial(connection.execute, queries()["insert_event"])
        self._insert_many = connection.executemany
        row = connection.execute(queries()["last_link"]).fetchone()
        self._last: bytes = FIRST_LINK if row is None else row[0]
        self._links: list[tuple[int, bytes]] = []
        self._compacted: list[tuple[int, int, bytes]] = []

    def write(
        self, place: EventPlace, body: str, *, whole: str = "", compacted_by: int = 0
    ) -> None:
        """Write an event; `whole` is the digest of its body if `body` is a smaller one."""
        self._insert((*place, pack(body)))
        last = self._links[-1][1] if self._links else self._last
        digest = whole or body_digest(body)
        self._links.append((place.seq, next_link(last, event_leaf(place, digest))))
        if whole:
            self._compacted.append((place.seq, compacted_by, bytes.fromhex(whole)))

    @property
    def pending(self) -> int:
        """How many links aren't written yet."""
        return len(self._links)

    def undo(self) -> None:
        """Leave out the link of the last event, which was rolled back."""
        self._links.pop()

    def write_links(self) -> None:
        """Write the links of the events, and the digests of bodies that were replaced."""
        self._insert_many(queries()["insert_link"], self._links)
        self._insert_many(queries()["insert_compacted"], self._compacted)
        if self._links:
            self._last = self._links[-1][1]
        self._links, self._compacted = [], []


def event_place(event: Event, *, seq: int, batch: int, at: float) -> EventPlace:
    """What is stored of an event besides its body."""
    environment, run, stage, partition = event_scope(event)
    return EventPlace(
        seq=seq,
        batch=batch,
        at=at,
        kind=type(event).__name__,
        environment=environment,
        run=run,
        stage=stage,
        partition=partition,
    )


def linked_events(
    connection: sqlite3.Connection, after: int = 0, link: bytes = FIRST_LINK
) -> Iterator[ChainedEvent]:
    """Read the events after a number, whose link is given, in order; StorageError at one that can't be read.

    What the file has is read, whether it is what was recorded or not.
    """
    rows = connection.execute(queries()["linked_events"], (after,))
    for seq, batch, at, *texts, stored, digest, by, is_odd in rows:
        try:
            if is_odd:
                raise TypeError("it isn't stored as text")
            kind, environment, run, stage, partition, body = map(read_text, texts)
            place = EventPlace(
                seq=seq,
                batch=batch,
                at=float(at),
                kind=kind or "",
                environment=environment,
                run=run,
                stage=stage,
                partition=partition,
            )
            text = unstamp(body)
            whole = "" if digest is None else bytes(digest).hex()
            leaf = event_leaf(place, whole or body_digest(text))
        except (StorageError, TypeError, ValueError) as error:
            raise StorageError(f"event {seq} is not what was recorded: {error}") from error
        link = next_link(link, leaf)
        yield ChainedEvent(
            place=place,
            body=text,
            leaf=leaf,
            link=link,
            stored_link=stored,
            whole=whole,
            compacted_by=by or 0,
        )


def read_chain(
    path: Path, after: int = 0, link: bytes | None = None
) -> Iterator[ChainedEvent | str]:
    """Read the events of a ledger's file after a number, with its link; a text says why others can't be."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.text_factory = bytes
            yield from linked_events(connection, after, link or FIRST_LINK)
    except (StorageError, sqlite3.Error) as error:
        yield str(error)


def count_events(path: Path) -> int:
    """The number of events of a ledger's file; StorageError if it can't be read now."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            return int(connection.execute(queries()["last_seq"]).fetchone()[0])
    except sqlite3.Error as error:
        raise StorageError(f"{path} can't be read: {error}") from error


def chain_faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Describe where the hash chain differs from that of the stored events: at most once."""
    compactions = CompactionCheck()
    try:
        for event in linked_events(connection):
            if fault := compactions.find_fault(event):
                yield fault
                return
            if event.link != event.stored_link:
                yield (
                    f"the hash chain is broken at event {event.seq}: it isn't what was recorded, or an "
                    "event before it was removed, added or moved"
                )
                return
    except StorageError as error:
        yield str(error)
        return
    if fault := compactions.find_rest():
        yield fault
    beyond = connection.execute(queries()["links_without_event"]).fetchone()
    if beyond is not None:
        yield f"event {beyond[0]} was removed: the hash chain still has its link"


def link_function() -> Callable[..., bytes]:
    """An SQL function that gives each event's link; it must be called for all of them in order."""
    link = FIRST_LINK

    def linked(seq: int, batch: int, at: float, kind: str, *texts: str | None) -> bytes:
        nonlocal link
        environment, run, stage, partition, body = texts
        place = EventPlace(
            seq=seq,
            batch=batch,
            at=at,
            kind=kind,
            environment=environment,
            run=run,
            stage=stage,
            partition=partition,
        )
        # The last line is the checksum, which needn't be right for a damaged event.
        text = (body or "").rpartition("\n")[0]
        link = next_link(link, event_leaf(place, body_digest(text)))
        return link

    return linked
