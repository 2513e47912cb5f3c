"""Deliveries: which approved artifact is live under a name, and the external effects to carry out."""

from __future__ import annotations

from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import GateResult, Scores
from tidemill.workflow.model import Artifact

# The actors of decisions that no person made: the gates, and a review that nobody decided in time.
GATES = "gates"
EXPIRY = "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The artifact that is live under a name; `decision` approved it, based on `scores`.

    `actor` made it live: the gates, or a person, who may have given a `reason` and a `note`.
    `replaced` is the artifact that was live before; a `rollback` went back to an earlier one.
    With several evaluations these are the scores of the first, and `evaluations` has all of them by stage.
    `through` is the newest partition that the artifact was evaluated on; "" if that isn't known.
    """

    name: str
    artifact: Artifact
    decision: str
    scores: Scores
    at: float
    actor: str = GATES
    reason: str = ""
    replaced: str = ""
    rollback: bool = False
    evaluations: dict[str, Scores] = field(default_factory=dict)
    through: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision of the gates on a model, or of a person who moved what is live.

    `subject` is the digest of exactly what was decided on. A person approves the artifact that is made
    live, and withdraws (`approved` is False) the one that it replaces; neither has `results`. A decision in
    a `review` has the results of the gates that the artifact had passed. `through` is the newest partition
    that the artifact was evaluated on; "" if that isn't known. An artifact that passed the gates and was
    `held` back by rules or people isn't approved, and isn't refused either. `baseline` identifies the
    baseline that gates compared it with; "" if none did, or in decisions from before it was recorded. A
    person may have left a `note`.
    """

    subject: str
    artifact: str
    approved: bool
    results: tuple[GateResult, ...]
    actor: str
    at: float
    reason: str = ""
    through: str = ""
    baseline: str = ""
    review: str = ""
    note: str = ""
    held: bool = False

    @property
    def verdict(self) -> str:
        """What was decided: "approved", "refused" by gates, "rejected" in a review, or "withdrawn".

        What "passed" the gates waits for people, or rules refuse it. What a person "made live" without gates
        or a review may have been live before.
        """
        if self.approved:
            is_move = self.actor != GATES and not self.results and not self.review
            return "made live" if is_move else "approved"
        if self.held:
            return "passed"
        if self.review:
            return "rejected"
        return "refused" if self.actor == GATES else "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An external effect to carry out once; its idempotency `key` makes a retry harmless.

    `action` is "write" (an object to `target`) or "remove" (`target`). `table` is the table in a database
    or catalog, `catalog` the name of an Iceberg catalog. `at` is when it was queued, in Unix seconds: a
    sink that keeps it refuses an effect that is older than the one that it carried out last.
    """

    key: str
    stage: str
    partition: str
    action: str
    target: str
    object: str = ""
    format: str = "parquet"
    table: str = ""
    catalog: str = ""
    at: float = 0.0

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where it is carried out: effects with equal places are on one table."""
        return self.format, self.target, self.catalog, self.table
