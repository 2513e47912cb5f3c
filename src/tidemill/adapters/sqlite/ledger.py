"""The ledger in one SQLite file, for a single machine and without a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.adapters.codec.events import encode, encode_event
from tidemill.adapters.codec.ledger_errors import require_objects
from tidemill.adapters.sqlite import leases, state_reader
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S, Connections
from tidemill.adapters.sqlite.event_chain import EventWriter, event_place
from tidemill.adapters.sqlite.event_reader import EventReader
from tidemill.adapters.sqlite.head_partitions import HeadPartitions, Layer, LoadedHeads
from tidemill.adapters.sqlite.known_states import KnownStates
from tidemill.adapters.sqlite.people import KnownPeople, PeopleWriter, erase_person
from tidemill.adapters.sqlite.projections import Projector
from tidemill.adapters.sqlite.stamps import can_be_stored
from tidemill.core.redaction import Redactor
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.people import names_people
from tidemill.ledger.redacted import redacted_event
from tidemill.ports.ledger import Guard, Lease, State

if TYPE_CHECKING:
    from tidemill.adapters.sqlite.garbage import SqliteGarbage
    from tidemill.ports.compaction import Compaction


class SqliteLedger:
    """Store the ledger in the file `path`, created when it is missing; safe to share between threads.

    Opening raises StorageError when the file is damaged, not a ledger, or from a newer Tidemill.
    A writer waits up to `busy_timeout_s` seconds for another; then ConflictError names the other.
    `redactor` removes secrets from messages before they are stored. `connections` are those to the file, if
    what is written goes elsewhere as well.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        redactor: Redactor | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._connections = connections or Connections(path, busy_timeout_s)
        self._people = KnownPeople()
        self._states = KnownStates(self._open_head, self._connections.path)
        self._redact = (redactor or Redactor()).redact

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        events = [redacted_event(event, self._redact) for event in events]
        # What names people is encoded when their references are known.
        bodies = ["" if names_people(event) else encode_event(event) for event in events]
        with self._connections.write_transaction() as connection:
            if guard is not None:
                leases.check_guard(connection, guard, events)
            batch = state_reader.read_last_seq(connection) + 1
            writer, view = EventWriter(connection), Projector(connection=connection)
            people = PeopleWriter(connection, self._people)
            for seq, (event, known) in enumerate(zip(events, bodies, strict=True), batch):
                stored, body = people.refer(event, known)
                place = event_place(stored, seq=seq, batch=batch, at=now)
                writer.write(place, body)
                view.apply(seq, now, stored)
            writer.write_links()
            find_missing = guard.find_missing if guard is not None else None
            if view.rescued_objects and find_missing is None:
                raise refusals.objects_being_removed(view.rescued_objects)
            require_objects(find_missing, {**view.bound_objects, **view.rescued_objects})
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
        with self._connections.write_transaction() as connection:
            return leases.acquire(connection, name, holder, now=now, ttl=ttl, dead=dead)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        with self._connections.write_transaction() as connection:
            return leases.renew(connection, lease, now=now, ttl=ttl)

    def release(self, lease: Lease) -> None:
        with self._connections.write_transaction() as connection:
            leases.release(connection, lease)

    def state(self, environment: str, *, whole: bool = False) -> State:
        # A name that can't be stored has the state of one that doesn't exist.
        stored = environment if can_be_stored(environment) else ""
        with self._connections.read_transaction() as connection:
            state = self._states.read(connection, stored, whole=whole)
        return state if stored == environment else replace(state, environment=environment)

    def _open_head(
        self,
        layers: tuple[Layer, ...],
        loaded: LoadedHeads,
        stage: str,
        version: int,
        moved: int,
    ) -> HeadPartitions:
        return HeadPartitions(self._connections, layers, stage, version, moved, loaded)

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        with self._connections.read_transaction() as connection:
            return state_reader.read_traces(connection, encode(list(keys)))

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        stage: str = "",
        where: EventFilter = EVERYTHING,
        newest: bool = False,
        limit: int | None = None,
    ) -> Iterable[RecordedEvent]:
        names = (run, stage, where.partition or "", where.about, where.about_prefix, *where.among)
        if not all(map(can_be_stored, names)):
            return ()
        reader = EventReader(self._connections, after=after, newest=newest)
        return islice(reader.read(kinds, run, stage, where), limit)

    @property
    def garbage(self) -> SqliteGarbage:
        """What nothing needs any more, for sweeps."""
        from tidemill.adapters.sqlite.garbage import SqliteGarbage

        return SqliteGarbage(self._connections)

    @property
    def compaction(self) -> Compaction:
        """What gives old events smaller bodies."""
        # Few commands compact.
        module = import_module("tidemill.adapters.sqlite.compaction")
        found: Compaction = module.SqliteCompaction(self._path)
        return found

    @property
    def _path(self) -> Path:
        return Path(self._connections.path)

    def erase_person(self, name: str, unchanged: Mapping[str, int] | None = None) -> str:
        """Remove a person from the file, and from what SQLite would leave of them there.

        Returns the reference, "" if nobody has that name. ConflictError if there are events of a kind of
        `unchanged` after its number, or if another process keeps the file from being cleaned: the same call
        does that later.
        """
        return erase_person(self._path, name, unchanged)

    def followed(self) -> AbstractContextManager[None]:
        """What others record comes into the file as soon as they do: so it does anyway, with one file."""
        return nullcontext()

    def clock(self) -> float:
        """The time in Unix seconds by which the ledger goes."""
        return time.time()

    def close(self) -> None:
        self._connections.close()
