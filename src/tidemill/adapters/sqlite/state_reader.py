"""Read the current state and the facts as records."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

from tidemill.adapters.codec.events import decode, decode_binding, decode_event
from tidemill.adapters.sqlite.head_partitions import (
    HeadPartitions,
    Layer,
    LoadedHeads,
    environment_layers,
)
from tidemill.adapters.sqlite.people import names_of_people, put_names, with_names
from tidemill.adapters.sqlite.stamps import DamagedTextError, reading_values, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.adapters.sqlite.stored_records import StoredRecords
from tidemill.contracts.finding import TableFindings
from tidemill.contracts.row_ruling import Ruling
from tidemill.ledger.binding import Binding, ContractUse, Head, Mark
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.event import Attempted, Judged, RecordedEvent, Ruled
from tidemill.ledger.run import RunInfo, Status
from tidemill.ports.ledger import State
from tidemill.workflow.environment import Environment
from tidemill.workflow.source import SourceFile

# Opens a head's partitions from its layers, its state's loaded heads, its stage, version and the fact that
# moved it.
OpenHead = Callable[[tuple[Layer, ...], LoadedHeads, str, int, int], HeadPartitions]

# The length of a record of a file that is kept after it was decoded, which takes ten times as much.
_SMALL_FILE = 1_000


class KnownCosts:
    """The average costs of all stages, which are many and only attempts change."""

    def __init__(self) -> None:
        self._known: tuple[int, Mapping[str, Mapping[str, Cost]]] = (-1, {})

    def read(self, connection: sqlite3.Connection) -> Mapping[str, Mapping[str, Cost]]:
        """The costs by stage and action in the snapshot of a connection."""
        [last] = connection.execute(queries()["last_seq_of_kind"], (Attempted.__name__,)).fetchone()
        known = self._known
        if known[0] != last:
            known = self._known = last, _costs(connection)
        return known[1]


@reading_values()
def read_state(
    connection: sqlite3.Connection,
    environment: str,
    open_head: OpenHead,
    *,
    costs: KnownCosts,
    whole: bool,
    path: str,
) -> State:
    """Read an environment's state from one snapshot; partitions are read lazily unless `whole`.

    `costs` are remembered from one call to the next. `path` is that of the file, for errors.
    """
    effects = _rows(connection, "pending_effects", environment)
    layers = environment_layers(connection, environment)
    heads = _heads(connection, layers, open_head, whole=whole)
    return State(
        environment=environment,
        seq=read_last_seq(connection),
        heads=heads,
        recipes=_recipes(connection, environment, path),
        sources=_sources(connection, layers, path),
        completion_marks=_marks(connection, environment),
        rulings=_rulings(connection, layers, path),
        live=_live(connection, environment),
        decisions=_decisions(connection, environment, path),
        pending_effects=tuple(decode(Effect, unstamp(body)) for (body,) in effects),
        open_runs=_open_runs(connection, environment),
        costs=costs.read(connection),
        environments=_environments(connection),
        contract_versions=ContractUses(heads),
        stale=_stale_tables(connection, environment, path),
    )


@reading_values()
def read_last_seq(connection: sqlite3.Connection) -> int:
    """The number of the newest fact."""
    return int(connection.execute(queries()["last_seq"]).fetchone()[0])


@reading_values()
def read_traces(connection: sqlite3.Connection, keys: str) -> dict[str, Binding]:
    """The first binding recorded under each of `keys` (a JSON list)."""
    rows = connection.execute(queries()["traces"], (keys,))
    found = {key: decode_binding(unstamp(body)) for key, body in rows}
    if any(binding.key != key for key, binding in found.items()):
        raise DamagedTextError("a result is recorded under the key of another")
    return found


@reading_values()
def decode_facts(
    connection: sqlite3.Connection, rows: Iterable[tuple[int, float, str]]
) -> list[RecordedEvent]:
    """Decode rows of (seq, at, body) to facts."""
    return [
        RecordedEvent(seq=seq, at=at, event=decode_event(with_names(connection, unstamp(body))))
        for seq, at, body in rows
    ]


class StoredHeads(Mapping[str, Head]):
    """The heads of all stages, each opened when it is looked at; none of their partitions is loaded."""

    def __init__(
        self,
        stored: Mapping[str, tuple[int, int]],
        open_partitions: Callable[[LoadedHeads, str, int, int], HeadPartitions],
    ) -> None:
        self._stored, self._open_partitions = stored, open_partitions
        self._opened: dict[str, Head] = {}
        self._loaded = LoadedHeads()

    def unread(self) -> StoredHeads:
        """The same heads, of which none is opened."""
        return StoredHeads(self._stored, self._open_partitions)

    def __getitem__(self, stage: str) -> Head:
        if stage not in self._opened:
            version, moved = self._stored[stage]
            self._opened[stage] = Head(
                version=version,
                last_event=moved,
                partitions=self._open_partitions(self._loaded, stage, version, moved),
            )
        return self._opened[stage]

    def __contains__(self, stage: object) -> bool:
        return stage in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def _heads(
    connection: sqlite3.Connection, layers: tuple[Layer, ...], open_head: OpenHead, *, whole: bool
) -> StoredHeads:
    rows = _rows(connection, "heads", layers[0].environment).fetchall()
    found = StoredHeads(
        {stage: (version, moved) for stage, version, moved in rows}, partial(open_head, layers)
    )
    for head in found.values() if whole else ():
        partitions = _stored_partitions(head)
        partitions.load_all(connection)
        partitions.load_uses(connection)
    return found


def _stored_partitions(head: Head) -> HeadPartitions:
    assert isinstance(head.partitions, HeadPartitions)
    return head.partitions


class ContractUses(Mapping[str, Mapping[str, ContractUse]]):
    """How the partitions of heads were published, by stage; read when a stage is looked at, which is rare."""

    def __init__(self, heads: Mapping[str, Head]) -> None:
        self._heads = heads

    def __getitem__(self, stage: str) -> Mapping[str, ContractUse]:
        found = _stored_partitions(self._heads[stage]).contract_uses()
        if not found:
            raise KeyError(stage)
        return found

    def __iter__(self) -> Iterator[str]:
        return (stage for stage in self._heads if stage in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _recipes(
    connection: sqlite3.Connection, environment: str, path: str
) -> Mapping[str, Mapping[str, str]]:
    stored = dict(_rows(connection, "recipes", environment).fetchall())
    people = names_of_people(connection) if stored else {}

    def decode_recipe(body: object) -> dict[str, str]:
        return decode(dict[str, str], put_names(people, unstamp(body)))

    return StoredRecords(path, stored, decode_recipe)


def _sources(
    connection: sqlite3.Connection, layers: Sequence[Layer], path: str
) -> Mapping[str, Mapping[str, SourceFile]]:
    """The files by stage and path; who looks at a stage needs all of its files."""
    found: dict[tuple[str, str], object] = {}
    for layer in reversed(layers):
        rows = connection.execute(queries()["sources_before"], layer._asdict())
        for stage, name, gone, body in rows:
            if gone:
                found.pop((stage, name), None)
            else:
                found[stage, name] = body
    grouped: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for (stage, name), body in found.items():
        grouped[stage][name] = body
    return StoredRecords(path, grouped, _decode_files)


def _decode_files(bodies: Mapping[str, object]) -> dict[str, SourceFile]:
    return {name: _decode_file(body) for name, body in bodies.items()}


def _decode_file(body: object) -> SourceFile:
    # That of a table has the rows of all its partitions, and is another one at each change.
    is_small = isinstance(body, str | bytes) and len(body) <= _SMALL_FILE
    return _known_file(body) if is_small else _known_file.__wrapped__(body)


# Programs that open a project again and again read mostly the same files.
@lru_cache(maxsize=8_192)
def _known_file(body: object) -> SourceFile:
    return decode(SourceFile, unstamp(body))


def _decisions(
    connection: sqlite3.Connection, environment: str, path: str
) -> Mapping[str, Decision]:
    stored = dict(_rows(connection, "decisions", environment).fetchall())
    people = names_of_people(connection) if stored else {}

    def decode_decision(body: object) -> Decision:
        return decode(Decision, put_names(people, unstamp(body)))

    return StoredRecords(path, stored, decode_decision)


def _environments(connection: sqlite3.Connection) -> dict[str, Environment]:
    return {
        name: Environment(
            name=name,
            parent=parent,
            since=since,
            at=at,
            expires=expires,
            sample=sample,
            profile=profile,
        )
        for name, parent, since, at, expires, sample, profile in connection.execute(
            queries()["environments"]
        )
    }


def _marks(connection: sqlite3.Connection, environment: str) -> dict[str, Mark]:
    return {
        stage: Mark(signature=signature, partitions=partitions)
        for stage, signature, partitions in _rows(connection, "settled", environment)
    }


def _stale_tables(
    connection: sqlite3.Connection, environment: str, path: str
) -> Mapping[str, TableFindings]:
    stored = dict(_rows(connection, "stale_tables", environment).fetchall())
    return StoredRecords(path, stored, _decode_verdict)


def _decode_verdict(body: object) -> TableFindings:
    event = decode_event(unstamp(body))
    if not isinstance(event, Judged):
        raise DamagedTextError("a table is stale by an event that isn't a verdict")
    return event.verdict


def _rulings(
    connection: sqlite3.Connection, layers: Sequence[Layer], path: str
) -> dict[str, Mapping[str, tuple[Ruling, ...]]]:
    """The rulings by stage and partition; a team has thousands, and most commands look at none."""
    stored: defaultdict[str, dict[str, tuple[object, ...]]] = defaultdict(dict)
    for layer in reversed(layers):
        for stage, partition, body in connection.execute(queries()["rulings_before"], layer):
            held = stored[stage]
            held[partition] = (*held.get(partition, ()), body)
    people = names_of_people(connection) if stored else {}

    def decode_rulings(bodies: tuple[object, ...]) -> tuple[Ruling, ...]:
        events = [decode_event(put_names(people, unstamp(body))) for body in bodies]
        return tuple(event.ruling for event in events if isinstance(event, Ruled))

    return {stage: StoredRecords(path, held, decode_rulings) for stage, held in stored.items()}


def _open_runs(connection: sqlite3.Connection, environment: str) -> tuple[RunInfo, ...]:
    return tuple(
        RunInfo(
            id=run,
            environment=environment,
            status=Status.RUNNING,
            started=started,
            command=with_names(connection, command, is_json=False),
            holder=decode(dict[str, str], with_names(connection, holder)),
        )
        for run, started, command, holder in _rows(connection, "open_runs", environment)
    )


def _costs(connection: sqlite3.Connection) -> dict[str, dict[str, Cost]]:
    grouped: defaultdict[str, dict[str, Cost]] = defaultdict(dict)
    rows = connection.execute(queries()["costs"])
    for stage, action, attempts, wall_s, cpu_s, rows_in, bytes_in, rows_out in rows:
        grouped[stage][action] = Cost(
            attempts=attempts,
            wall_s=wall_s,
            cpu_s=cpu_s,
            rows_in=rows_in,
            bytes_in=bytes_in,
            rows_out=rows_out,
        )
    return dict(grouped)


def _live(connection: sqlite3.Connection, environment: str) -> dict[str, Delivery]:
    return {
        name: decode(Delivery, with_names(connection, unstamp(body)))
        for name, body in _rows(connection, "deliveries", environment)
    }


def _rows(connection: sqlite3.Connection, query: str, environment: str) -> sqlite3.Cursor:
    return connection.execute(queries()[query], (environment,))
