"""Write a ledger with a long history, once, and keep it for the next time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from bench.ledger_history import Batch, history
from tidemill.adapters.codec.events import encode_event
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S, Connections
from tidemill.adapters.sqlite.event_chain import EventWriter, event_place
from tidemill.adapters.sqlite.people import KnownPeople, PeopleWriter
from tidemill.adapters.sqlite.projections import Projector
from tidemill.adapters.sqlite.state_reader import read_last_seq

# Appends of so many are committed together: a transaction each would mostly wait for the disk.
_TOGETHER = 5_000


def write_history(path: Path, events: int, batches: Iterator[Batch] | None = None) -> float:
    """Write a ledger of so many events and a few more, by what `SqliteLedger.append` consists of.

    `batches` are another history than that of `bench/ledger_history.py`. Returns the time of the last one.
    """
    connections, people, last = Connections(path, BUSY_TIMEOUT_S), KnownPeople(), 0.0
    for done, appends in enumerate(_groups(batches or history(events))):
        with connections.write_transaction() as connection:
            # The size of the cache changes nothing that is written.
            connection.execute("PRAGMA cache_size = -200000")
        written, last = _write(connections, people, appends), appends[-1][0]
        if done % 10 == 0:
            print(f"... {written:,} of {events:,} events", file=sys.stderr, flush=True)
    connections.close()
    return last


def _write(connections: Connections, people: KnownPeople, appends: Iterable[Batch]) -> int:
    with connections.write_transaction() as connection:
        writer, names = EventWriter(connection), PeopleWriter(connection, people)
        seq = read_last_seq(connection)
        for at, events in appends:
            view, batch = Projector(connection=connection), seq + 1
            for event in events:
                seq += 1
                stored, body = names.refer(event, encode_event(event))
                writer.write(event_place(stored, seq=seq, batch=batch, at=at), body)
                view.apply(seq, at, stored)
        writer.write_links()
    return seq


def _groups(appends: Iterator[Batch]) -> Iterator[list[Batch]]:
    while group := [*islice(appends, _TOGETHER)]:
        yield group
