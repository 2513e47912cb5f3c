"""Events: the append-only facts that the ledger records.

All other state of the ledger (heads, traces, decisions, live deliveries, pending effects) is derived from
events, in the transaction that appends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias, get_args

from tidemill.contracts.finding import TableFindings
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, Mark
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.cost_events import PricesSet, StorageMetered
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.drift import DriftVerdict, RaisedAlarm
from tidemill.ledger.governance_events import (
    Acted,
    ContractPublished,
    Erased,
    NoticeSent,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    RulesLoaded,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.incident_events import (
    AlertFailed,
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.ledger.note_events import NoteSent
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    RetentionDeclared,
    StagesUndeclared,
    SweepConfirmed,
    SweepMarked,
)
from tidemill.ledger.rollout import RolloutStep
from tidemill.ledger.run import Attempt, Receipt, Status
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.ledger.usage import ServedUsage
from tidemill.workflow.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCreated:
    """An environment was created, empty or as a branch of the current state of `parent`."""

    environment: str
    parent: str = ""
    expires: float | None = None
    sample: float = 1.0
    profile: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDropped:
    """An environment was dropped; its results can still be reused, and its name is free again."""

    environment: str
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run acquired the lease and started to execute a plan of `steps` steps; `actor` started it."""

    run: str
    environment: str
    command: str
    holder: Mapping[str, str]
    steps: int
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run ended; status `lost` if its process died and a later run found that out."""

    run: str
    status: Status
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """An attempt at a step ended; if it published, `Published` follows in the same transaction."""

    run: str
    environment: str
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A partition of a stage was published; its binding's key and product become a trace."""

    environment: str
    stage: str
    partition: str
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A step's output was computed but not published; its binding's key and product become a trace."""

    stage: str
    partition: str
    binding: Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A partition was removed from the head of a stage."""

    environment: str
    stage: str
    partition: str
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChanged:
    """The recipe of a stage in an environment changed; `parts` are the digests that it consists of."""

    environment: str
    stage: str
    recipe: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """The files of an ingest stage that were added, changed or removed since the last read."""

    environment: str
    stage: str
    files: tuple[SourceFile, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A run left all partitions of a stage up to date; a later `SourceSeen` of the stage revokes that."""

    environment: str
    stage: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on a stage's whole table changed: it became stale, or fresh again."""

    environment: str
    stage: str
    run: str
    verdict: TableFindings


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftJudged:
    """A run judged the drift of a table, after partitions of it changed."""

    environment: str
    stage: str
    run: str
    verdict: DriftVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarmed:
    """A table drifted, which opens an investigation; recorded once for a rule and partition."""

    environment: str
    stage: str
    partition: str
    run: str
    alarm: RaisedAlarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A person ruled on quarantined rows of a partition; the last ruling on a row counts."""

    environment: str
    stage: str
    partition: str
    ruling: Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The gates of a model decided on an artifact."""

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
    """An external effect is to be carried out, exactly once."""

    environment: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDone:
    """An external effect was carried out; `detail` is what the sink reported."""

    environment: str
    key: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Servers had endpoints open from `since` to `until` (Unix seconds).

    The usages divide what the servers used in that time. `cpu_hour` and `memory_gb_hour` are the prices of
    the settings then, in `currency`.
    """

    environment: str
    since: float
    until: float
    usages: tuple[ServedUsage, ...]
    cpu_hour: float = 0.0
    memory_gb_hour: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStepped:
    """An endpoint started, continued or ended the rollout of a version, or changed its version at once."""

    environment: str
    endpoint: str
    step: RolloutStep


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageDropped:
    """Of the `total` events of lineage of a run, this many weren't sent; `reason` is that of the first."""

    run: str
    environment: str
    events: int
    total: int = 0
    reason: str = ""

    @property
    def message(self) -> str:
        """What was lost, why, and how to send it again."""
        return (
            f"OpenLineage: {self.events:,} of {self.total:,} events weren't sent ({self.reason}); send them "
            f"with `tidemill lineage send {self.run}`"
        )


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
    | DriftJudged
    | DriftAlarmed
    | Ruled
    | Decided
    | Delivered
    | EffectQueued
    | EffectDone
    | Ticked
    | TokenCreated
    | TokenRevoked
    | Served
    | RolloutStepped
    | RulesLoaded
    | PolicyDecided
    | ContractPublished
    | Waived
    | WaiverEnded
    | ReviewOpened
    | ReviewPageStored
    | Voted
    | ReviewExtended
    | ReviewClosed
    | NoticeSent
    | LineageDropped
    | Erased
    | Acted
    | Compacted
    | IncidentOpened
    | IncidentChanged
    | IncidentClosed
    | AlertSent
    | AlertFailed
    | Silenced
    | SilenceEnded
    | ScheduleChanged
    | SchedulePaused
    | ScheduleResumed
    | SweepMarked
    | SweepConfirmed
    | DataPinned
    | DataUnpinned
    | StagesUndeclared
    | RetentionDeclared
    | PricesSet
    | WorkDeferred
    | StorageMetered
    | ChangesSeen
    | NoteSent
)
EVENTS: tuple[type[Event], ...] = get_args(Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event in the ledger, with its sequence number and the time of its append (Unix seconds)."""

    seq: int
    at: float
    event: Event
