"""The seams: where another implementation can stand. Each has a conformance suite that all pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from tidemill.domain.binding import Binding, Head
from tidemill.domain.cost import Cost
from tidemill.domain.delivery import Decision, Delivery, Effect
from tidemill.domain.environment import Environment
from tidemill.domain.event import Event, Recorded
from tidemill.domain.query import Query
from tidemill.domain.ruling import Ruling
from tidemill.domain.run import RunInfo
from tidemill.domain.settled import Mark
from tidemill.domain.source import Delta, Engine, Iceberg, SourceFile
from tidemill.domain.task import Capacity, Task, TaskEvent

if TYPE_CHECKING:
    import polars as pl

Notify: TypeAlias = Callable[[Recorded], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to act under a name until it expires; `token` grows with every new holder."""

    name: str
    token: int
    holder: Mapping[str, str]
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What must still be true when events are appended.

    `lease`: it must still be ours. `heads`: the version that each named stage's head must still have.
    `present`: called with the objects that the events bind; returns those that don't exist.
    """

    lease: Lease | None = None
    heads: Mapping[str, int] = field(default_factory=dict)
    present: Callable[[Collection[str]], Collection[str]] | None = None


@runtime_checkable
class Noted(Protocol):
    """Partitions of a head that can tell which facts bound them, without reading what is bound."""

    def facts(self) -> Mapping[str, int]:
        """By partition, the number of the fact that bound it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The view of now in one environment, derived from the events up to `seq`.

    `rulings` are those in force, by stage and partition, in the order in which they were said. `costs`
    are what steps cost so far, by stage and action: in all environments, for a stage costs the
    same in each. `environments` are all that there are, by name.

    The partitions of a head may be read only when they are asked for. They are those of its version:
    once it moved, what wasn't read before raises ConflictError.
    """

    environment: str
    seq: int
    heads: Mapping[str, Head]
    recipes: Mapping[str, Mapping[str, str]]
    sources: Mapping[str, Mapping[str, SourceFile]]
    settled: Mapping[str, Mark]
    rulings: Mapping[str, Mapping[str, tuple[Ruling, ...]]] = field(default_factory=dict)
    live: Mapping[str, Delivery]
    decisions: Mapping[str, Decision]
    pending: tuple[Effect, ...]
    open_runs: tuple[RunInfo, ...]
    costs: Mapping[str, Mapping[str, Cost]]
    environments: Mapping[str, Environment] = field(default_factory=dict)


class Ledger(Protocol):
    """Append-only facts, and the view of now that is derived from them."""

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        """Append all or none in one durable transaction; the sequence number of the last.

        ConflictError when the guard doesn't hold, or a tick or a pending effect's key is taken twice.
        """

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        """Take a lease that is free, expired or whose holder is `dead`; ConflictError says who has it."""

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        """Hold the lease for another `ttl` seconds; ConflictError when it was taken by another."""

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens when it is no longer ours."""

    def state(self, environment: str, *, whole: bool = False) -> State:
        """The view of now; an environment that doesn't exist is empty.

        With `whole` all partitions of all heads are read at once, so that nothing can move meanwhile.
        """

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """What was first bound under these keys, in any environment."""

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        limit: int | None = None,
    ) -> Iterable[Recorded]:
        """The facts in order: all, or those of some kinds (`Published`), after a number, of one run."""

    def close(self) -> None:
        """Let go of files and connections."""


class Artifacts(Protocol):
    """Immutable bytes named by their content: `sha256` in hex, and a suffix that tells the format."""

    def put(self, payload: bytes, suffix: str) -> str:
        """Store the bytes durably and return their name; a second time is a no-op."""

    def put_all(self, objects: Sequence[tuple[bytes, str]]) -> Sequence[str]:
        """Store bytes with their suffixes, all durably once this returns; their names in this order."""

    def get(self, name: str) -> bytes:
        """The bytes, verified against their name; StorageError when missing or damaged."""

    def uri(self, name: str) -> str:
        """Where Polars can scan the object."""

    def missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored."""

    def names(self) -> Iterable[str]:
        """Every stored object."""

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects; the number of bytes that were freed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Rows whose `column` is from `least` to `most`, both included, as the database gave them."""

    column: str
    least: Any
    most: Any


class Database(Protocol):
    """Tables of somebody else, that are only read; SourceError when they can't be, without passwords.

    Between `begin` and `end` everything is read as it was at one moment, where the database can do that
    without holding up those who write.
    """

    @property
    def place(self) -> str:
        """Where it is, without what lets one in."""

    def begin(self) -> None:
        """What is read from here on is as it is now."""

    def columns(self, query: str) -> Sequence[str]:
        """The columns that a query gives."""

    def rows(
        self,
        query: str,
        columns: Sequence[str],
        *,
        distinct: bool = False,
        within: Within | None = None,
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Some columns of what a query gives, in chunks; of the rows `within`, or of all."""

    def end(self) -> None:
        """Let go of the moment, and of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFile:
    """A file of a table; as long as its `digest` is the same, so are the rows that it gives.

    `read` gives some columns of the table, one or more, of these rows; SourceError when it can't.
    """

    name: str
    size: int
    digest: str
    read: Callable[[Sequence[str]], pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lake:
    """The files that a table has at a version, and its columns, each with what tells it from another."""

    version: str
    columns: Mapping[str, str]
    files: tuple[LakeFile, ...]


class Outside(Protocol):
    """What sources reach for besides files: databases, and other projects."""

    @property
    def keeps(self) -> bool:
        """Whether a database is open, of which another process couldn't see the same moment."""

    def database(self, url: str, engine: Engine | None = None) -> Database:
        """The one that `url` names, read by an engine; the same one until `close`."""

    def project(self, path: str) -> tuple[Ledger, Artifacts]:
        """The ledger and the store of another project; SourceError when there is none."""

    def lake(self, source: Delta[Any] | Iceberg[Any]) -> Lake:
        """The files of a table at a version, or now; the same ones until `close`."""

    def close(self) -> None:
        """Let go of all of it; what is asked for afterwards is opened anew."""


class Probes(Protocol):
    """What probes of stages found, kept so that the next plan needs no user code; a cache, no record."""

    def get(self, keys: Collection[str]) -> Mapping[str, Query]:
        """What is known under these keys; what can't be read isn't known."""

    def put(self, found: Mapping[str, Query]) -> None:
        """Keep these; nothing happens when they can't be written."""


class Claims(Protocol):
    """Who is at work on which key, so that two runs don't compute the same thing.

    Nothing depends on them for being right: they spare work. One holder may have many keys, a key has
    one holder, and a holder that dies has none.
    """

    def take(self, key: str) -> bool:
        """Whether the key is ours now; never waits. Taking it a second time changes nothing."""

    def wait(self, key: str, timeout_s: float) -> bool:
        """Whether the key became ours within so many seconds."""

    def give(self, key: str) -> None:
        """Let others have the key; nothing happens when it isn't ours."""


class Memos(Protocol):
    """Results of costly functions, in spaces: immutable segments, and who is about to compute what.

    A segment is named so that older ones come first, and the one that takes the place of several where
    the first of them was. Intents only spare work; those of whoever dies vanish.
    """

    def segments(self, space: str) -> Mapping[str, int]:
        """The names of a space's segments, oldest first, with their sizes in bytes."""

    def open(self, space: str, segment: str) -> str | bytes | None:
        """The path of a segment's file, or its bytes; None when it has been merged into another."""

    def append(self, space: str, payload: bytes) -> None:
        """Add a segment, durably."""

    def merge(self, space: str, segments: Sequence[str], payload: bytes) -> bool:
        """Put one segment in the place of several that are neighbours; False if some are gone."""

    def intend(self, space: str, payload: bytes) -> str:
        """Say what is about to be computed; the intent's name."""

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        """What others that came `before` an intent are about to compute."""

    def withdraw(self, space: str, intent: str) -> None:
        """That was computed, or won't be."""

    def turn(self, space: str, every_s: float) -> float:
        """Seconds to wait for one's turn, where all turns of a space are so far apart."""


class Executor(Protocol):
    """Runs tasks, and tells the fate of each exactly once; it never runs one again by itself."""

    def submit(self, task: Task) -> None:
        """Let a task run as soon as it can; one whose id is at work already is not run twice.

        UsageError for one with a limit that this engine can't hold it to, or devices that it hasn't.
        """

    def cancel(self, task: str) -> None:
        """End a task wherever it is, or in threads if it waits; nothing happens when it isn't known."""

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """What became of tasks since it was asked last; waits for the first of it for so many seconds."""

    def capacity(self) -> Capacity:
        """What the engine holds now, and what it held since it was made."""

    def close(self, drain_s: float = 0.0) -> None:
        """End all; what is at work or waits has so many seconds left, and the rest is cancelled."""


class ModelFormat(Protocol):
    """How one kind of model becomes bytes and predicts again."""

    name: str

    def accepts(self, model: Any) -> bool:
        """Whether `model` is of this kind."""

    def dump(self, model: Any) -> bytes:
        """The model as bytes, without pickle."""

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """A function from a two-dimensional float array (rows x inputs) to predictions."""


SinkWriter: TypeAlias = Callable[[Effect, Path, "Artifacts"], Mapping[str, str]]
