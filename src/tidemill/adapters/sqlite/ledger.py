"""The ledger in one SQLite file, for a single machine and without a server."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from tidemill.adapters.codec.events import address, decode_event, encode, encode_event
from tidemill.adapters.codec.refusals import check_present
from tidemill.adapters.sqlite import leases, state_reader
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.heads import Layer, Partitions
from tidemill.adapters.sqlite.projections import Derivation
from tidemill.adapters.sqlite.statements import queries
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, Recorded
from tidemill.ports.ledger import Guard, Lease, State

BUSY_S = 30.0
_PAGE = 500


class SqliteLedger:
    """Store the ledger in the file `path`, created when it is missing; safe to share between threads.

    Opening raises StorageError when the file is damaged, not a ledger, or from a newer Tidemill.
    A writer waits up to `busy_timeout_s` seconds for another; then ConflictError names the other.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._connections = Connections(path, busy_s)

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        rows = [(type(e).__name__, *address(e), encode_event(e)) for e in events]
        with self._connections.writing() as connection:
            if guard is not None:
                leases.check(connection, guard, events)
            batch, view = state_reader.last_seq(connection) + 1, Derivation(connection=connection)
            for seq, (event, row) in enumerate(zip(events, rows, strict=True), batch):
                connection.execute(queries()["insert_event"], (seq, batch, now, *row))
                view.apply(seq, now, event)
            if guard is not None:
                check_present(guard.present, view.bound)
        return batch + len(events) - 1

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        with self._connections.writing() as connection:
            return leases.acquire(connection, name, holder, now=now, ttl=ttl, dead=dead)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        with self._connections.writing() as connection:
            return leases.renew(connection, lease, now=now, ttl=ttl)

    def release(self, lease: Lease) -> None:
        with self._connections.writing() as connection:
            leases.release(connection, lease)

    def state(self, environment: str, *, whole: bool = False) -> State:
        def open_head(
            layers: tuple[Layer, ...], stage: str, version: int, moved: int
        ) -> Partitions:
            return Partitions(self._connections, layers, stage, version, moved)

        with self._connections.reading() as connection:
            return state_reader.state(connection, environment, open_head, whole=whole)

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        with self._connections.reading() as connection:
            return state_reader.traces(connection, encode(list(keys)))

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        limit: int | None = None,
    ) -> Iterable[Recorded]:
        with self._connections.reading() as connection:
            until = state_reader.last_seq(connection)
        wanted = sorted(set(kinds))
        if run:
            filtered = encode(wanted) if wanted else None
            found = self._pages("events_page_of_run", after, until, run, filtered)
        elif wanted:
            each = [self._pages("events_page_of_kind", after, until, kind) for kind in wanted]
            found = heapq.merge(*each, key=lambda fact: fact.seq)
        else:
            found = self._pages("events_page", after, until)
        return islice(found, limit)

    def close(self) -> None:
        self._connections.close()

    def _pages(self, query: str, after: int, until: int, *where: str | None) -> Iterator[Recorded]:
        while True:
            with self._connections.reading() as connection:
                rows = connection.execute(
                    queries()[query], (after, until, *where, _PAGE)
                ).fetchall()
            yield from state_reader.recorded(rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]


def rebuild(ledger: Path, copy: Path) -> None:
    """Rebuild a ledger's projections from its facts, in the new file `copy`; leases aren't copied."""
    source, target = Connections(ledger, BUSY_S), Connections(copy, BUSY_S)
    try:
        with source.reading() as facts, target.writing() as rebuilt:
            derivation, current = Derivation(connection=rebuilt), 0
            for seq, batch, at, body in facts.execute(queries()["events_of_batches"]):
                if batch != current:
                    derivation, current = Derivation(connection=rebuilt), batch
                event = decode_event(body)
                row = (seq, batch, at, type(event).__name__, *address(event), body)
                rebuilt.execute(queries()["insert_event"], row)
                derivation.apply(seq, at, event)
    finally:
        source.close()
        target.close()
