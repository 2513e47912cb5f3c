"""Find out what no event of the ledger needs any more, and delete it under the ledger's write lock.

Whatever binds an object does so in a write transaction that verifies that it is stored. Objects are deleted
in a write transaction too, so nothing is ever bound to an object that is deleted at the same moment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from tidemill.adapters.codec.events import decode, decode_binding, decode_event
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.leases import check_guard
from tidemill.adapters.sqlite.projections import stored_needs
from tidemill.adapters.sqlite.stamps import reading_values, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.ledger.event import Computed, Delivered, Event, Published
from tidemill.ledger.garbage import (
    MarkedEvents,
    MarkedUse,
    ObjectUse,
    RecordedUse,
    SupersededEffect,
    SupersededResult,
)
from tidemill.ledger.io.lease_holder import describe_holder, is_dead
from tidemill.ledger.retention_events import SweepMarked
from tidemill.ledger.stored_objects import needed_objects
from tidemill.ports.ledger import Guard
from tidemill.ports.upkeep import Discard, Discarded

_PAGE = 2_000


class SqliteGarbage:
    """The garbage of a ledger: what is superseded, what is marked, and what was never recorded."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def superseded_results(
        self, before: float, stage: str = "", partition: str = ""
    ) -> Iterator[SupersededResult]:
        after = ""
        while True:
            with self._connections.read_transaction() as connection:
                where = {"after": after, "stage": stage, "partition": partition, "limit": _PAGE}
                rows = connection.execute(queries()["superseded_results"], where).fetchall()
            # An event needs more time to be read than its key.
            for (key, since), same in groupby(rows, key=itemgetter(0, 1)):
                if since <= before:
                    yield SupersededResult(key=key, uses=(*map(_use, same),), since=since)
            if not rows:
                return
            after = rows[-1][0]

    def newest_superseded(self, count: int) -> Iterator[tuple[str, str, str, int]]:
        with self._connections.read_transaction() as connection:
            yield from connection.execute(queries()["newest_superseded"], (count,)).fetchall()

    def count_superseded(self, after: float, before: float) -> int:
        with self._connections.read_transaction() as connection:
            row = connection.execute(queries()["count_superseded"], (after, before)).fetchone()
        return int(row[0])

    def superseded_effects(self, before: float) -> Iterator[SupersededEffect]:
        yield from self._effects("superseded_effects", before)

    def dropped_rulings(self) -> Iterator[SupersededEffect]:
        yield from self._effects("dropped_rulings")

    def _effects(self, query: str, *values: float) -> Iterator[SupersededEffect]:
        with self._connections.read_transaction() as connection:
            rows = connection.execute(queries()[query], values).fetchall()
        for seq, environment, stage, partition, since in rows:
            yield SupersededEffect(
                event=seq, environment=environment, stage=stage, partition=partition, since=since
            )

    def needing(self, events: Collection[int]) -> set[int]:
        with self._connections.read_transaction() as connection:
            return {
                seq
                for seq in events
                if any(seq in _pinning(connection, name) for name in stored_needs(connection, seq))
            }

    def freed_objects(
        self, events: Sequence[int], going: Collection[int]
    ) -> Iterator[tuple[str, int]]:
        with self._connections.read_transaction() as connection:
            found = []
            for seq in events:
                for name in stored_needs(connection, seq):
                    needed_by = _pinning(connection, name)
                    if needed_by and needed_by[-1] == seq and all(n in going for n in needed_by):
                        found.append((name, seq))
        yield from found

    def uses(self, name: str) -> Sequence[ObjectUse]:
        with self._connections.read_transaction() as connection:
            rows = connection.execute(queries()["fact_of_object"], (name,)).fetchall()
        return [
            ObjectUse(
                event=seq,
                kind=kind,
                environment=environment or "",
                stage=stage or "",
                partition=partition or "",
                at=at,
                since=since,
                read_by_branch=bool(is_read),
            )
            for seq, kind, environment, stage, partition, at, since, is_read in rows
        ]

    def unneeded(self, names: Sequence[str]) -> list[str]:
        with self._connections.read_transaction() as connection:
            return _unneeded(connection, names)

    def pending_marks(self) -> Sequence[int]:
        with self._connections.read_transaction() as connection:
            return [mark for (mark,) in connection.execute(queries()["pending_marks"])]

    def marked_uses(self, mark: int) -> Sequence[MarkedUse]:
        with self._connections.read_transaction() as connection:
            return [*_marked_uses(connection, mark)]

    def waiting_for(self, mark: int, now: float) -> str:
        with self._connections.read_transaction() as connection:
            runs = _active_runs(connection, now)
        return next((describe_holder(holder) for holder, seq in runs if seq < mark), "")

    def oldest_run(self, now: float) -> float | None:
        with self._connections.read_transaction() as connection:
            runs = _active_runs(connection, now)
        return min((float(holder.get("since", "0")) for holder, _ in runs), default=None)

    def remove_marked(
        self, mark: int, discard: Discard, *, guard: Guard, after: str, limit: int
    ) -> tuple[str, Discarded]:
        with self._connections.write_transaction() as connection:
            check_guard(connection, guard, ())
            rows = connection.execute(queries()["marked_objects"], (mark, after, limit)).fetchall()
            names = [name for (name,) in rows]
            used = _pulled(connection)
            done = discard([n for n in names if n not in used and not _pinning(connection, n)])
        return (names[-1] if len(names) == limit else ""), done

    def remove_unneeded(self, names: Sequence[str], discard: Discard, *, guard: Guard) -> Discarded:
        with self._connections.write_transaction() as connection:
            check_guard(connection, guard, ())
            return discard(_unneeded(connection, names))


@reading_values()
def _use(
    row: tuple[str, float, int, str | None, str, str, str, str | bytes],
) -> RecordedUse:
    _, _, seq, environment, stage, partition, run, body = row
    artifact = decode_binding(unstamp(body)).product.artifact
    return RecordedUse(
        event=seq,
        environment=environment or "",
        stage=stage,
        partition=partition,
        run=run,
        artifact=artifact.id if artifact is not None else "",
    )


def _pinning(connection: sqlite3.Connection, name: str) -> list[int]:
    """The events that need an object, in order."""
    return [seq for (seq,) in connection.execute(queries()["pinning_facts"], (name,))]


def _unneeded(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    def is_known(query: str, name: str) -> bool:
        return connection.execute(queries()[query], (name,)).fetchone() is not None

    used = _pulled(connection)
    return [
        name
        for name in names
        if name not in used and not is_known("is_pinned", name) and not is_known("is_garbage", name)
    ]


def _pulled(connection: sqlite3.Connection) -> set[str]:
    """The objects with pulled rows that are among the sources."""
    return {name for name, _ in connection.execute(queries()["pulled_objects"])}


def marked_events(connection: sqlite3.Connection) -> list[int]:
    """The events whose objects a sweep is about to delete; what they need must stay known until then."""
    pending = [mark for (mark,) in connection.execute(queries()["pending_marks"]).fetchall()]
    return [seq for mark in pending for each in _marks(connection, mark) for seq in each.events]


def _marks(connection: sqlite3.Connection, mark: int) -> Sequence[MarkedEvents]:
    body = connection.execute(queries()["stored_event"], (mark,)).fetchone()[-1]
    event = decode_event(unstamp(body))
    return event.marks if isinstance(event, SweepMarked) else ()


def _marked_uses(connection: sqlite3.Connection, mark: int) -> Iterator[MarkedUse]:
    for marks in _marks(connection, mark):
        for seq in marks.events:
            row = connection.execute(queries()["marked_event"], (seq,)).fetchone()
            if row is None:
                continue
            environment, partition, run, body = row
            event = decode_event(unstamp(body))
            use = RecordedUse(
                event=seq,
                environment=environment or "",
                # A model is delivered by its name.
                stage=marks.stage,
                partition=partition or "",
                run=run or "",
                artifact=_artifact_id(event),
            )
            yield MarkedUse(use=use, kind=type(event).__name__, objects=needed_objects(event))


def _artifact_id(event: Event) -> str:
    if isinstance(event, Delivered):
        return event.delivery.artifact.id
    if isinstance(event, Published | Computed):
        artifact = event.binding.product.artifact
        return artifact.id if artifact is not None else ""
    return ""


def _active_runs(connection: sqlite3.Connection, now: float) -> list[tuple[Mapping[str, str], int]]:
    """The holders of leases of runs that are alive, each with the newest event when it took the lease."""
    found: list[tuple[Mapping[str, str], int]] = []
    for _, text, expires, seq in connection.execute(queries()["run_leases"]):
        holder = decode(dict[str, str], text)
        if expires > now and not is_dead(holder):
            found.append((holder, seq))
    return found
