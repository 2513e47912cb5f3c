"""Read the partitions of a stage's head lazily: most steps need none of them.

All partitions belong to one version of the head. Reads after the head moved could see another version
and are rejected; partitions read before stay valid. A branch is read in layers: its own changes on top
of its parent's state when the branch was created, and so on up.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.adapters.codec.events import decode_binding, decode_makers
from tidemill.adapters.sqlite.stamps import can_be_stored, reading_values, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.ledger.binding import Binding, ContractUse

if TYPE_CHECKING:
    from collections.abc import ItemsView, ValuesView

    from tidemill.adapters.sqlite.connections import Connections

# Reading all partitions at once takes about half as long as reading each separately. So after lookups
# for a third of them, the rest are loaded too; small heads don't need it.
_LOAD_ALL_DIVISOR = 3
_SMALL_HEAD = 100
# A binding takes some 4 kB, so this is 200 MB.
_MOST_LOADED = 50_000


class Layer(NamedTuple):
    """An environment's state before the fact numbered `before`."""

    environment: str
    before: int


def environment_layers(connection: sqlite3.Connection, environment: str) -> tuple[Layer, ...]:
    """The layers that an environment is read from: itself, then its ancestors, nearest first."""
    return tuple(map(Layer._make, connection.execute(queries()["layers"], (environment,))))


class LoadedHeads:
    """The heads of a state of which all partitions were read.

    Before another one is loaded, those that were loaded first are released until `most` partitions are left.
    """

    def __init__(self, most: int = _MOST_LOADED) -> None:
        self._most = most
        # A head knows this, so it would otherwise live until the garbage collector finds the cycle.
        self._loaded: list[tuple[weakref.ref[HeadPartitions], int]] = []

    def add(self, head: HeadPartitions, count: int) -> None:
        """Note that all partitions of a head were read."""
        self._loaded.append((weakref.ref(head), count))

    def make_room(self) -> None:
        """Release heads, so that another one can be loaded."""
        loaded, total = self._loaded, sum(count for _, count in self._loaded)
        while total > self._most:
            (reference, count), *loaded = loaded
            total -= count
            if (first := reference()) is not None:
                first.release()
        self._loaded = loaded


class HeadPartitions(Mapping[str, Binding]):
    """The partitions of a stage's head at `version`, which the fact `moved` produced.

    A lookup reads one binding, `len` and iteration read only keys, `items` and `values` read everything
    at once, which is kept until `loaded` releases it. Reads after the head moved on raise ConflictError.
    """

    def __init__(
        self,
        connections: Connections,
        layers: tuple[Layer, ...],
        stage: str,
        version: int,
        moved: int,
        loaded: LoadedHeads,
    ) -> None:
        self._connections = connections
        self._layers = layers
        self._loaded = loaded
        self._head_key = (layers[0].environment, stage)
        self._version, self._moved = version, moved
        self._cache: dict[str, Binding] = {}
        self._all: dict[str, Binding] | None = None
        self._uses: Mapping[str, ContractUse] | None = None
        self._keys: dict[str, None] | None = None
        self._lookup_count = 0
        self._load_all_after = _SMALL_HEAD

    @reading_values()
    def load_all(self, connection: sqlite3.Connection) -> dict[str, Binding]:
        """Read all partitions from a snapshot in which the head has this version."""
        bodies = self._bodies(connection)
        found = {partition: decode_binding(unstamp(body)) for partition, body in bodies}
        self._all, self._cache, self._keys = found, {}, None
        return found

    def release(self) -> None:
        """Forget all partitions; those that are looked at again are read again."""
        self._all, self._lookup_count = None, 0

    def load_uses(self, connection: sqlite3.Connection) -> Mapping[str, ContractUse]:
        """Read how it was published from a snapshot in which the head has this version."""
        rows = connection.execute(queries()["contract_versions"], self._head_key)
        self._uses = {
            contract: ContractUse(first=first, last=last, published=published)
            for contract, first, last, published in rows
        }
        return self._uses

    def contract_uses(self) -> Mapping[str, ContractUse]:
        """How its partitions were published under each version of the contract, the first one first."""
        if self._uses is None:
            with self._read_transaction() as connection:
                return self.load_uses(connection)
        return self._uses

    def __getitem__(self, partition: str) -> Binding:
        if (loaded := self._all) is not None:
            return loaded[partition]
        if partition in self._cache:
            return self._cache[partition]
        if not self._may_hold(partition):
            raise KeyError(partition)
        self._lookup_count += 1
        if self._lookup_count > self._load_all_after and self._should_load_all():
            return self._load_all_once()[partition]
        with self._read_transaction() as connection:
            found = self._nearest_binding(connection, partition)
        if found is None:
            raise KeyError(partition)
        self._cache[partition] = found
        return found

    def find(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Read some partitions in one snapshot, or all if they are many; return what is published."""
        if (loaded := self._all) is not None:
            return loaded
        wanted = [key for key in keys if key not in self._cache and self._may_hold(key)]
        if len(wanted) > _SMALL_HEAD and len(wanted) * _LOAD_ALL_DIVISOR >= len(self):
            return self._load_all_once()
        if wanted:
            with self._read_transaction() as connection:
                for key in wanted:
                    found = self._nearest_binding(connection, key)
                    if found is not None:
                        self._cache[key] = found
        return self._cache

    def _may_hold(self, partition: str) -> bool:
        return can_be_stored(partition) and (self._keys is None or partition in self._keys)

    def __iter__(self) -> Iterator[str]:
        if (loaded := self._all) is not None:
            return iter(loaded)
        if self._keys is None:
            self._keys = dict.fromkeys(self.binding_events())
        return iter(self._keys)

    def binding_events(self) -> Mapping[str, int]:
        """The number of the fact that bound each partition."""
        with self._read_transaction() as connection:
            found: dict[str, int] = self._overlay_layers(connection, "partitions")
        return found

    def quarantined(self) -> Collection[str]:
        """The partitions that have quarantined rows; none is loaded for it."""
        if (loaded := self._all) is not None:
            return [key for key, binding in loaded.items() if binding.product.quarantined]
        with self._read_transaction() as connection:
            found = self._overlay_layers(connection, "quarantined")
        return [partition for partition, has_rows in found.items() if has_rows]

    @reading_values()
    def makers(self) -> Mapping[tuple[str, ...], int]:
        """How many partitions are the work of the same runs; none is loaded for it."""
        if (loaded := self._all) is not None:
            return Counter(binding.makers for binding in loaded.values())
        with self._read_transaction() as connection:
            return Counter(decode_makers(unstamp(body)) for _, body in self._bodies(connection))

    def __len__(self) -> int:
        if (loaded := self._all) is not None:
            return len(loaded)
        if self._keys is None and len(self._layers) > 1:
            self._keys = dict.fromkeys(self.binding_events())
        if self._keys is not None:
            return len(self._keys)
        with self._read_transaction() as connection:
            return int(
                connection.execute(queries()["count_bindings"], self._head_key).fetchone()[0]
            )

    def __bool__(self) -> bool:
        if self._all is not None or self._keys is not None or len(self._layers) > 1:
            return len(self) > 0
        with self._read_transaction() as connection:
            return (
                connection.execute(queries()["has_bindings"], self._head_key).fetchone() is not None
            )

    def items(self) -> ItemsView[str, Binding]:
        """Every partition with its binding."""
        return self._load_all_once().items()

    def values(self) -> ValuesView[Binding]:
        """The binding of every partition."""
        return self._load_all_once().values()

    def _load_all_once(self) -> dict[str, Binding]:
        if (loaded := self._all) is not None:
            return loaded
        self._loaded.make_room()
        with self._read_transaction() as connection:
            found = self.load_all(connection)
        self._loaded.add(self, len(found))
        return found

    def _bodies(self, connection: sqlite3.Connection) -> Iterator[tuple[str, object]]:
        """Each partition with the record that binds it."""
        if len(self._layers) > 1:
            yield from self._overlay_layers(connection, "bindings").items()
            return
        for partition, gone, body in connection.execute(queries()["bindings"], self._head_key):
            if not gone:
                yield partition, body

    @reading_values()
    def _overlay_layers(self, connection: sqlite3.Connection, query: str) -> dict[str, Any]:
        """A query's value for each partition, nearer layers overriding farther ones."""
        own, *ancestors = self._layers
        found: dict[str, Any] = {}
        for layer in reversed(ancestors):
            where = {**layer._asdict(), "stage": self._head_key[1]}
            _overlay(found, connection.execute(queries()[f"{query}_before"], where))
        _overlay(found, connection.execute(queries()[query], (own.environment, self._head_key[1])))
        return dict(sorted(found.items())) if ancestors else found

    @reading_values()
    def _nearest_binding(self, connection: sqlite3.Connection, partition: str) -> Binding | None:
        """The binding of a partition, from the nearest layer that mentions it."""
        for layer in self._layers:
            where = {**layer._asdict(), "stage": self._head_key[1], "partition": partition}
            row = connection.execute(queries()["binding"], where).fetchone()
            if row is not None:
                body = unstamp(row[1])
                return None if row[0] else decode_binding(body)
        return None

    def _should_load_all(self) -> bool:
        self._load_all_after = max(_SMALL_HEAD, len(self) // _LOAD_ALL_DIVISOR)
        return self._lookup_count > self._load_all_after

    @contextmanager
    def _read_transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a snapshot; ConflictError when the head moved since it was first read."""
        with self._connections.read_transaction() as connection:
            row = connection.execute(queries()["head"], self._head_key).fetchone()
            found, moved = row or (0, 0)
            # An environment that was dropped and recreated may have reached the same version.
            if moved != self._moved:
                raise refusals.head_moved_since_read(*self._head_key, self._version, found)
            yield connection


def _overlay(values: dict[str, Any], rows: Iterable[tuple[str, int, Any]]) -> None:
    """Apply one layer's rows (partition, gone, value) on top of the layers below."""
    for partition, gone, value in rows:
        if gone:
            values.pop(partition, None)
        else:
            values[partition] = value
