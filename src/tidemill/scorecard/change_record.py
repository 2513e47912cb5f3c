"""Changes to a workflow and their deliveries: as they go on, and as people see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.scorecard.spread import Spread


class Wait(StrEnum):
    """What a change that isn't live waits for.

    RUN is the computation of something that contains it and is delivered, APPROVAL that of gates and people,
    TRAFFIC the end of a rollout.
    """

    RUN = "run"
    APPROVAL = "approval"
    TRAFFIC = "traffic"


class DeliveryFailure(StrEnum):
    """How a delivery failed, after all."""

    ROLLED_BACK = "rolled back"
    WITHDRAWN = "withdrawn"
    INCIDENT = "incident"


@dataclass(slots=True, kw_only=True)
class TableDelivery:
    """A partition of a table that event `seq` queued to be delivered, and event `done` delivered."""

    stage: str
    seq: int
    at: float
    done: int = 0
    done_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class OpenChange:
    """A change as far as it got: a commit, the `stages` that it changes, and what `delivers` these.

    `seen` maps environments to the number of the event since which they run it, `planned` is when the first
    one did. `computed` maps what delivers it to when that was first computed with it. Without anything that
    delivers it, `missing` are the stages that aren't published with it. `delivery` is the number of the
    delivery that contains it, 0 while there is none; if that is a model's which may still begin a rollout,
    `table` was delivered meanwhile. Times are Unix seconds.
    """

    id: str
    committed: float
    planned: float
    stages: tuple[str, ...]
    delivers: tuple[str, ...]
    seen: dict[str, int] = field(default_factory=dict)
    computed: dict[str, float] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    delivery: int = 0
    table: TableDelivery | None = None


@dataclass(slots=True, kw_only=True)
class Deployment:
    """A delivery of a version of a model, or of a table or stages with changes, by event `number` at `at`.

    `version` is empty if it isn't of a model. `stages` are those that it delivers or that its changes change.
    A model was computed by the event `made` at `candidate`, in a run that began at `triggered`, and was
    `approved`. It has all traffic since `live`: with a rollout that is its end, and None until then.
    `tentative` says that a rollout may still begin, `automatic` that no change of code led to it.
    """

    number: int
    item: str
    at: float
    stages: set[str]
    version: str = ""
    made: int = 0
    triggered: float = 0.0
    candidate: float = 0.0
    approved: float = 0.0
    live: float | None = None
    tentative: bool = False
    automatic: bool = False
    failure: DeliveryFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredChange:
    """A change that has been live since `live`: when it was committed, first run, computed and approved.

    The times don't decrease: a commit that a run saw before its time is taken for as old as that run.
    `item` is the model or table by which it went live, "" if nothing of it is delivered: then it is live once
    all stages that it changes are published.
    """

    id: str
    committed: float
    planned: float
    candidate: float
    approved: float
    live: float
    stages: tuple[str, ...] = ()
    item: str = ""
    version: str = ""

    @property
    def took(self) -> float:
        """The seconds from the commit until it was live."""
        return self.live - self.committed

    @property
    def splits(self) -> Mapping[str, float]:
        """The seconds that it took until the first run, the candidate, the approval, and all traffic."""
        return {
            "plan": self.planned - self.committed,
            "candidate": self.candidate - self.planned,
            "approval": self.approved - self.candidate,
            "traffic": self.live - self.approved,
        }


# The names of the splits, in their order.
SPLITS = ("plan", "candidate", "approval", "traffic")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingChange:
    """A change that isn't live, the seconds since its commit, and what it waits for."""

    id: str
    committed: float
    age: float
    waits_for: Wait
    stages: tuple[str, ...] = ()
    delivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """A new version of a model without any change of code: when its run started, and when it was live."""

    model: str
    version: str
    triggered: float
    live: float

    @property
    def took(self) -> float:
        """The seconds from the start of its run until it was live."""
        return self.live - self.triggered


_NONE = Spread()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesReport:
    """The changes that went live in a window, oldest first, and those that wait.

    `took` and `splits` are the spreads of their times in seconds; `retrained` is that of the automatic
    `retrainings`. Of `deployments`, `failed` were rolled back or withdrawn, or an incident followed.
    `unknown` counts moves to another commit of which git couldn't list the commits, `omitted` the commits
    left out of very long lists.
    """

    delivered: tuple[DeliveredChange, ...] = ()
    waiting: tuple[WaitingChange, ...] = ()
    took: Spread = _NONE
    splits: Mapping[str, Spread] = field(default_factory=dict)
    retrainings: tuple[Retraining, ...] = ()
    retrained: Spread = _NONE
    deployments: int = 0
    failed: int = 0
    failures: Mapping[DeliveryFailure, int] = field(default_factory=dict)
    per_week: float = 0.0
    unknown: int = 0
    omitted: int = 0

    @property
    def published(self) -> int:
        """The changes that nothing delivers, and that are live since their stages were published."""
        return sum(not change.item for change in self.delivered)

    @property
    def failure_rate(self) -> float | None:
        """The share of deliveries that failed; None without any."""
        return self.failed / self.deployments if self.deployments else None
