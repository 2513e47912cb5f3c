"""The ledger in a PostgreSQL database, shared by many machines; each has a copy of it in a SQLite file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.connections import SharedConnections
from tidemill.adapters.postgres.follower import LedgerFollower
from tidemill.adapters.postgres.replica import Copied
from tidemill.adapters.sqlite.compaction import SqliteCompaction
from tidemill.adapters.sqlite.connections import BUSY_TIMEOUT_S
from tidemill.adapters.sqlite.garbage import SqliteGarbage
from tidemill.adapters.sqlite.leases import check_guard
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.stamps import stamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.redaction import Redactor
from tidemill.ports.compaction import Compaction
from tidemill.ports.ledger import Guard, Lease
from tidemill.ports.upkeep import Discard, Discarded

# So many objects are deleted before the server is asked whether the ledger is still held for it.
_DELETED_AT_ONCE = 20


class PostgresGarbage(SqliteGarbage):
    """The garbage of a shared ledger: nothing is deleted once another machine may bind it."""

    def __init__(self, connections: SharedConnections) -> None:
        super().__init__(connections)
        self._shared = connections

    def remove_marked(
        self, mark: int, discard: Discard, *, guard: Guard, after: str, limit: int
    ) -> tuple[str, Discarded]:
        return super().remove_marked(
            mark, self._watched(discard), guard=guard, after=after, limit=limit
        )

    def remove_unneeded(self, names: Sequence[str], discard: Discard, *, guard: Guard) -> Discarded:
        return super().remove_unneeded(names, self._watched(discard), guard=guard)

    def _watched(self, discard: Discard) -> Discard:
        def watched(names: Sequence[str]) -> Discarded:
            done = Discarded(sizes={})
            for first in range(0, len(names), _DELETED_AT_ONCE):
                self._shared.require_lock()
                more = discard(names[first : first + _DELETED_AT_ONCE])
                done = Discarded(
                    sizes={**done.sizes, **more.sizes},
                    recent=(*done.recent, *more.recent),
                    failed={**done.failed, **more.failed},
                )
            return done

        return watched


class PostgresLedger(SqliteLedger):
    """Store the ledger in a database, created when it is missing; its copy is in the file `path`.

    Opening raises StorageError when the server can't be reached, or was upgraded by a newer Tidemill. With
    `by_server_time` leases go by the server's clock, whatever time callers pass. With `when_used` the server
    is asked only by the first use.
    """

    _connections: SharedConnections

    def __init__(
        self,
        path: Path,
        address: HomeAddress,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        redactor: Redactor | None = None,
        by_server_time: bool = False,
        when_used: bool = False,
    ) -> None:
        shared = SharedConnections(path, address, busy_timeout_s, when_used=when_used)
        super().__init__(path, redactor=redactor, connections=shared)
        self._address = address
        self._by_server_time = by_server_time

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        return super().acquire(name, holder, now=self._time(now), ttl=ttl, dead=dead)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        return super().renew(lease, now=self._time(now), ttl=ttl)

    def erase_person(self, name: str, unchanged: Mapping[str, int] | None = None) -> str:
        with self._connections.write_transaction() as connection:
            check_guard(connection, Guard(unchanged=unchanged or {}), ())
            row = connection.execute(queries()["person"], (stamp(name),)).fetchone()
            if row is not None:
                connection.execute(queries()["remove_person"], row)
        self._connections.vacuum_people()
        # What its files still have of the name; other machines follow.
        super().erase_person(name)
        return "" if row is None else str(row[0])

    @property
    def compaction(self) -> Compaction:
        def connect() -> SharedConnections:
            return SharedConnections(self._path, self._address, BUSY_TIMEOUT_S, foreign_keys=False)

        return SqliteCompaction(self._path, connect)

    @property
    def id(self) -> str:
        """Which ledger it is, wherever its copies are."""
        return self._connections.head.id

    @property
    def place(self) -> str:
        """Where the database is, without credentials."""
        return self._connections.place

    @property
    def may_write(self) -> bool:
        """Whether this user of the database may record something."""
        return self._connections.may_write

    @property
    def count(self) -> int:
        """The number of events that the server has."""
        return self._connections.head.seq

    @property
    def copied(self) -> Copied:
        """What the copy of this machine has, once it is up to date."""
        return self._connections.copied

    def read_copy(self, *, while_away: bool) -> None:
        """Whether from now on the copy is read as it is while the server can't be reached."""
        self._connections.read_copy(while_away=while_away)

    @property
    def garbage(self) -> PostgresGarbage:
        return PostgresGarbage(self._connections)

    @contextmanager
    def followed(self) -> Iterator[None]:
        with closing(LedgerFollower(self._address, self._connections.follow)):
            yield

    def clock(self) -> float:
        return time.time() + self._connections.offset

    def _time(self, now: float) -> float:
        return self._connections.server_time() if self._by_server_time else now
