"""Reviews of changes by people, as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tidemill.ledger.policy import SubjectKind


class TimeoutAction(StrEnum):
    """What happens to a review that nobody decides in time: it is rejected, reminded of, or escalated."""

    REJECT = "reject"
    REMIND = "remind"
    ESCALATE = "escalate"


class Choice(StrEnum):
    """What a person chose in a review."""

    APPROVE = "approve"
    REJECT = "reject"
    CHANGES = "changes"


class ReviewOutcome(StrEnum):
    """How a review ended; `superseded` by a newer candidate, `withdrawn` by its author."""

    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_ASKED = "changes asked"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A question to people: may this change go to its users?

    It is bound to `subject`, the digest of exactly what is decided on; `artifact` is the model, "" for other
    kinds. `people` of those in `asked` (users, tokens' holders, or roles as `role:reviewer`; empty: every
    reviewer) must approve; `author` doesn't count where `author_may_approve` is False. `decision` is the
    policy decision that asked for it, "" where only the workflow did. Times are Unix seconds.
    """

    id: str
    kind: SubjectKind
    name: str
    subject: str
    artifact: str = ""
    reasons: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    people: int = 1
    author: str = ""
    author_may_approve: bool = True
    opened: float = 0.0
    expires: float | None = None
    on_timeout: TimeoutAction = TimeoutAction.REJECT
    escalate_to: tuple[str, ...] = ()
    decision: str = ""
    run: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person chose in a review, and why."""

    actor: str
    choice: Choice
    reason: str
    at: float
    note: str = ""
