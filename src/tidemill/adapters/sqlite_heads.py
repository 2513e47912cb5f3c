"""The partitions of a head, read when they are asked for: most of what runs asks for none.

All of them belong to one version of the head. What is read after it moved could be of another, so that
is refused; what was read before stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.adapters import refusals
from tidemill.adapters.codec import decode_binding
from tidemill.adapters.sqlite_statements import queries
from tidemill.domain.binding import Binding

if TYPE_CHECKING:
    from collections.abc import ItemsView, ValuesView

    from tidemill.adapters.sqlite_connection import Connections

# Reading all partitions costs about half of reading each by itself. So who has asked for a third of
# them is given the rest too; of a small head that isn't worth a thought.
_SHARE = 3
_FEW = 100


class Partitions(Mapping[str, Binding]):
    """The partitions that a stage's head had at `version`; any other read raises ConflictError.

    A partition is read by itself, keys and their number without what is bound, `items` and `values`
    all at once.
    """

    def __init__(
        self, connections: Connections, environment: str, stage: str, version: int
    ) -> None:
        self._connections = connections
        self._where = (environment, stage)
        self._version = version
        self._found: dict[str, Binding] = {}
        self._keys: dict[str, None] | None = None
        self._complete = False
        self._asked = 0
        self._patience = _FEW

    def load(self, connection: sqlite3.Connection) -> None:
        """Read all partitions over a connection whose snapshot has the head at this version."""
        rows = connection.execute(queries()["bindings"], self._where)
        self._found = {partition: decode_binding(body) for partition, body in rows}
        self._keys = dict.fromkeys(self._found)
        self._complete = True

    def __getitem__(self, partition: str) -> Binding:
        if partition in self._found:
            return self._found[partition]
        if self._keys is not None and partition not in self._keys:
            raise KeyError(partition)
        self._asked += 1
        if self._asked > self._patience and self._worth_it():
            return self._all()[partition]
        with self._reading() as connection:
            row = connection.execute(queries()["binding"], (*self._where, partition)).fetchone()
        if row is None:
            raise KeyError(partition)
        found = self._found[partition] = decode_binding(row[0])
        return found

    def __iter__(self) -> Iterator[str]:
        if self._keys is None:
            with self._reading() as connection:
                rows = connection.execute(queries()["partitions"], self._where).fetchall()
            self._keys = {partition: None for (partition,) in rows}
        return iter(self._keys)

    def __len__(self) -> int:
        if self._keys is not None:
            return len(self._keys)
        with self._reading() as connection:
            return int(connection.execute(queries()["count_bindings"], self._where).fetchone()[0])

    def items(self) -> ItemsView[str, Binding]:
        """Every partition with what is bound."""
        return self._all().items()

    def values(self) -> ValuesView[Binding]:
        """What is bound, of every partition."""
        return self._all().values()

    def _all(self) -> dict[str, Binding]:
        if not self._complete:
            with self._reading() as connection:
                self.load(connection)
        return self._found

    def _worth_it(self) -> bool:
        self._patience = max(_FEW, len(self) // _SHARE)
        return self._asked > self._patience

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A snapshot in which the head is at this version."""
        with self._connections.reading() as connection:
            row = connection.execute(queries()["head"], self._where).fetchone()
            if (found := row[0] if row else 0) != self._version:
                raise refusals.head_passed(*self._where, self._version, found)
            yield connection
