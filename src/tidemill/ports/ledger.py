"""Port: the append-only ledger. Every port has a conformance suite that all its adapters pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from tidemill.contracts.row_ruling import Ruling
from tidemill.ledger.binding import Binding, Head, Mark
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.event import Event, Recorded
from tidemill.ledger.run import RunInfo
from tidemill.workflow.environment import Environment
from tidemill.workflow.source import SourceFile

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
