"""Steps of rollouts, as recorded, and the state of an endpoint as people see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass


class RolloutAction(StrEnum):
    """What a step does.

    A rollout starts, goes to its next share, and ends: completed, rolled back, or replaced by the rollout of
    another version. People hold and resume it. A server that stops suspends it; the one that judges it from
    then on continues it.
    """

    STARTED = "started"
    PROMOTED = "promoted"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    REPLACED = "replaced"
    HELD = "held"
    RESUMED = "resumed"
    SUSPENDED = "suspended"
    CONTINUED = "continued"


class Phase(StrEnum):
    """The phase of a rollout: the candidate answers no requests, a share of them, or all."""

    SHADOW = "shadow"
    CANARY = "canary"
    FULL = "full"


# The actor of steps that no person made.
ROLLOUT = "rollout"
_ENDS = (RolloutAction.COMPLETED, RolloutAction.ROLLED_BACK, RolloutAction.REPLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStep:
    """A step of the rollout of the version `candidate` of a model, which replaces `incumbent`.

    From `at` on the candidate answers the `share` of requests. Where a rollout ends, `phase` is the one in
    which it ended. `since` is when that phase and share began. `evidence` says by gate how strongly the
    candidate seems worse, over all steps until then, and `total` says it of all gates: at 1 / alpha it is
    rolled back. `requests` and `control_requests` were answered since the step before by each version, and
    `figures` describe them. Without an `incumbent` it is the first version.
    """

    model: str
    candidate: str
    incumbent: str
    action: RolloutAction
    phase: Phase
    share: float
    at: float
    since: float
    requests: int = 0
    control_requests: int = 0
    evidence: Mapping[str, float] = field(default_factory=dict)
    total: float = 1.0
    figures: Mapping[str, float] = field(default_factory=dict)
    actor: str = ROLLOUT
    reason: str = ""
    note: str = ""

    @property
    def is_end(self) -> bool:
        """Whether the rollout ended with this step."""
        return self.action in _ENDS

    @property
    def served(self) -> str:
        """The version that answers the requests that aren't the candidate's from then on."""
        return self.candidate if self.action is RolloutAction.COMPLETED else self.incumbent


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """The state of an endpoint: the version that answers, since when, and its rollout, if there is one.

    `requests` and `needed` are the candidate's requests in this step, and how many judge it;
    `control_requests` are those of the version before. `until` is when the step's time is over. `problem`
    says why the endpoint doesn't follow what is live. It is `judged` if the server that judges said it; else
    it is what was recorded last, without the requests and the evidence since then.
    """

    name: str
    model: str
    version: str = ""
    since: float = 0.0
    candidate: str = ""
    phase: Phase = Phase.FULL
    share: float = 1.0
    step_since: float = 0.0
    until: float = 0.0
    requests: int = 0
    needed: int = 0
    evidence: Mapping[str, float] = field(default_factory=dict)
    total: float = 1.0
    limit: float = 20.0
    held: bool = False
    last: RolloutStep | None = None
    problem: str = ""
    control_requests: int = 0
    judged: bool = False
