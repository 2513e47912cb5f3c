"""The facts that the ledger is made of: every act ends in exactly one of them.

Everything else that the ledger can tell (heads, traces, decisions, what is live, what is still to be
done outside) is derived from these, in the transaction that appends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tidemill.contracts.finding import Verdict
from tidemill.contracts.row_ruling import Ruling
from tidemill.ledger.binding import Binding, Mark
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.run import Attempt, Receipt, Status
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCreated:
    """An environment began, empty or as a branch of `parent`: with all that it had until then."""

    environment: str
    parent: str = ""
    expires: float | None = None
    sample: float = 1.0
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDropped:
    """An environment is no more; what was computed in it stays known, and its name is free."""

    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run took the lease and began with a plan."""

    run: str
    environment: str
    command: str
    holder: Mapping[str, str]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run ended, or was found dead by the next one (status lost)."""

    run: str
    status: Status
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """A step was tried; when it published something, `Published` follows in the same transaction."""

    run: str
    environment: str
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A partition of a stage was bound; the binding's key and product become a trace."""

    environment: str
    stage: str
    partition: str
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A step gave something that isn't bound anywhere yet; the binding's key and product become a trace."""

    stage: str
    partition: str
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A partition is no longer part of a stage's head."""

    environment: str
    stage: str
    partition: str
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChanged:
    """A stage's recipe in an environment became another; `parts` are the digests that it is made of."""

    environment: str
    stage: str
    recipe: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """The files of an ingest stage that were new, changed or gone since they were last read."""

    environment: str
    stage: str
    files: tuple[SourceFile, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A run left a stage wholly current; seeing other files of the stage takes that back."""

    environment: str
    stage: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is said of a stage's whole table became another: it is fresh again, or stale."""

    environment: str
    stage: str
    run: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """Somebody ruled on quarantined rows of a partition; of rulings on the same row the last counts."""

    environment: str
    stage: str
    partition: str
    ruling: Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Gates judged an artifact."""

    environment: str
    stage: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """An artifact went live under a name."""

    environment: str
    delivery: Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectQueued:
    """Something is to be done outside, exactly once."""

    environment: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDone:
    """It was done."""

    environment: str
    key: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """A schedule's tick was taken; the ledger takes each only once."""

    schedule: str
    tick: str


Event: TypeAlias = (
    EnvironmentCreated
    | EnvironmentDropped
    | RunStarted
    | RunEnded
    | Attempted
    | Published
    | Computed
    | Removed
    | RecipeChanged
    | SourceSeen
    | Settled
    | Judged
    | Ruled
    | Decided
    | Delivered
    | EffectQueued
    | EffectDone
    | Ticked
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the ledger keeps it: its place in the order, and when it was appended (Unix seconds)."""

    seq: int
    at: float
    event: Event
