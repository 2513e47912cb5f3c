"""Fill the tables of retention in a ledger from before them, by replaying the events that they rest on."""

from __future__ import annotations

import sqlite3
from dataclasses import field

from tidemill.adapters.codec.events import decode_event
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Computed, Event, Published
from tidemill.ledger.stored_objects import NEEDING, needed_objects

_MOVING = ("Published", "Removed", "EnvironmentCreated", "EnvironmentDropped")


def backfill_results(connection: sqlite3.Connection) -> None:
    """Fill `results` and `pins`; an event that can't be read needs nothing."""
    kinds = sorted({*_MOVING, *(kind.__name__ for kind in NEEDING)})
    rows = connection.execute(
        "SELECT seq, at, kind, environment, stage, partition, body FROM events "
        f"WHERE kind IN ({', '.join('?' * len(kinds))}) ORDER BY seq",
        kinds,
    )
    replay = _BindingReplay()
    writer = connection.cursor()
    for seq, at, kind, environment, stage, partition, body in rows:
        event = _read(body)
        objects = needed_objects(event) if event is not None else ()
        writer.executemany(
            "INSERT INTO pins (object, seq) VALUES (?, ?)", [(name, seq) for name in objects]
        )
        if kind == "EnvironmentCreated":
            replay.parents[environment] = (getattr(event, "parent", ""), seq)
        elif kind == "EnvironmentDropped":
            replay.drop(environment, at)
        elif kind in _MOVING:
            replay.move((environment, stage, partition), seq, at, is_bound=kind == "Published")
        if objects and isinstance(event, Published | Computed):
            replay.keys[seq] = event.binding.key
            if isinstance(event, Computed):
                replay.since[seq] = at
    connection.executemany(
        "INSERT INTO results (seq, key, since) VALUES (?, ?, ?)",
        [(seq, key, replay.since.get(seq)) for seq, key in replay.keys.items()],
    )


@dataclass(slots=True)
class _BindingReplay:
    """Which results were bound where, event by event, as the projector keeps it.

    `past` are bindings that branches still read, with the events between which they were current.
    """

    keys: dict[int, str] = field(default_factory=dict)
    since: dict[int, float] = field(default_factory=dict)
    parents: dict[str, tuple[str, int]] = field(default_factory=dict)
    bound: dict[tuple[str, str, str], int] = field(default_factory=dict)
    past: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def move(self, place: tuple[str, str, str], seq: int, at: float, *, is_bound: bool) -> None:
        """Bind another result to a partition, or none."""
        before = self.bound.pop(place, None)
        if before is not None:
            self._supersede(before, at)
            if self._is_read(place[0], before, seq):
                self.past.setdefault(place[0], []).append((before, seq))
        if is_bound:
            self.bound[place] = seq

    def drop(self, environment: str, at: float) -> None:
        """Drop an environment with its bindings, and the past ones that only it read."""
        parent, _ = self.parents.pop(environment, ("", 0))
        for place in [place for place in self.bound if place[0] == environment]:
            self._supersede(self.bound.pop(place), at)
        for owner in filter(None, (environment, parent)):
            kept = []
            for seq, until in self.past.pop(owner, []):
                if self._is_read(owner, seq, until):
                    kept.append((seq, until))
                else:
                    self._supersede(seq, at)
            self.past[owner] = kept

    def _is_read(self, environment: str, seq: int, until: int) -> bool:
        """Whether a branch was created while a binding was current."""
        return any(
            parent == environment and seq < since < until for parent, since in self.parents.values()
        )

    def _supersede(self, seq: int, at: float) -> None:
        self.since[seq] = max(at, self.since.get(seq, at))


def _read(body: str) -> Event | None:
    try:
        return decode_event(unstamp(body))
    except StorageError:
        return None
