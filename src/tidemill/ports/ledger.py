"""Port: the append-only ledger of events, its leases, and the state derived from it.

Every port has a conformance suite in `testing/suites` that all its adapters pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeAlias, runtime_checkable

from tidemill.contracts.finding import TableFindings
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, ContractUse, Head, Mark
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.run import RunInfo
from tidemill.workflow.environment import Environment
from tidemill.workflow.source import SourceFile

Notify: TypeAlias = Callable[[RecordedEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Exclusive rights to a name until `expires` (Unix seconds); each new holder gets a higher `token`."""

    name: str
    token: int
    holder: Mapping[str, str]
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Conditions that must hold when events are appended.

    `lease` must still be held. `heads` maps stages to the version that their head must still have, `live`
    maps names to the id of the artifact that must still be live under them ("": none). `unchanged` maps
    kinds of events to the number of the last one that the caller knows (0: none): no later one may be
    recorded, in any environment. `find_missing` is called with the names of the objects that the events bind,
    and returns the missing ones.
    """

    lease: Lease | None = None
    heads: Mapping[str, int] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    find_missing: Callable[[Collection[str]], Collection[str]] | None = None
    unchanged: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class HasBindingFacts(Protocol):
    """Partitions of a head of which some facts are known without loading the bindings."""

    def binding_events(self) -> Mapping[str, int]:
        """Map each partition to the sequence number of the event that bound it."""

    def quarantined(self) -> Collection[str]:
        """The partitions that have quarantined rows."""

    def makers(self) -> Mapping[tuple[str, ...], int]:
        """How many partitions are the work of the same runs (see `Binding.makers`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The current state of one environment, derived from the events up to `seq`.

    `rulings` are those in force, by stage and partition, oldest first. `costs` are average costs by stage
    and action, over all environments because a stage costs the same in each. `environments` are all
    existing environments by name. `contract_versions` are those of each stage, in the order of their first
    publication, and `stale` the last verdicts on the tables that aren't fresh.

    The partitions of a head and the contract versions of its stage may be loaded lazily. If the head
    changed in the meantime, loading raises ConflictError.
    """

    environment: str
    seq: int
    heads: Mapping[str, Head]
    recipes: Mapping[str, Mapping[str, str]]
    sources: Mapping[str, Mapping[str, SourceFile]]
    completion_marks: Mapping[str, Mark]
    rulings: Mapping[str, Mapping[str, tuple[Ruling, ...]]] = field(default_factory=dict)
    live: Mapping[str, Delivery]
    decisions: Mapping[str, Decision]
    pending_effects: tuple[Effect, ...]
    open_runs: tuple[RunInfo, ...]
    costs: Mapping[str, Mapping[str, Cost]]
    environments: Mapping[str, Environment] = field(default_factory=dict)
    contract_versions: Mapping[str, Mapping[str, ContractUse]] = field(default_factory=dict)
    stale: Mapping[str, TableFindings] = field(default_factory=dict)


class Ledger(Protocol):
    """Append-only events, and the state derived from them."""

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        """Append all events or none in one durable transaction; return the sequence number of the last.

        Raises ConflictError if the guard doesn't hold, or if an event contradicts recorded ones: a run, an
        environment, a tick or the key of a pending effect exists already, or something ends that never
        began. Raises StorageError if the disk fails, or if an object that is bound isn't stored.
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
        """Acquire a lease for `ttl` seconds if it is free or expired, or if its holder is `dead`.

        Raises ConflictError that names the current holder otherwise.
        """

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        """Extend the lease to `ttl` seconds from now; ConflictError if another holder has it."""

    def release(self, lease: Lease) -> None:
        """Release the lease; does nothing if another holder has it."""

    def state(self, environment: str, *, whole: bool = False) -> State:
        """Return the current state of an environment; an empty one if it doesn't exist.

        With `whole=True` all partitions of all heads are loaded at once, from one snapshot.
        """

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """Return the first binding recorded under each of these step keys, from any environment."""

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
        """Return recorded events in order, filtered by kind (class name), run, stage, and number.

        Only those with a number above `after` that `where` selects, at most `limit` of them, the oldest
        first unless `newest`. What is recorded at the time of the call is read page by page, without holding
        a snapshot open. A page takes time in the number of events that are selected, not of all: for some
        kinds, with or without a stage; for the publications of a partition; for a run or a subject, where
        those of other kinds count as well.
        """

    def close(self) -> None:
        """Close files and connections; the next use opens them again."""
