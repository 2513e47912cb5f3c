"""Reviews of changes by people, as recorded."""

from __future__ import annotations

from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Decision
from tidemill.ledger.policy import SubjectKind

# Who decides where nobody is named: everyone with this role.
REVIEWERS = "role:reviewer"
ADMINS = "role:admin"


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


# The ends by which people decided against a change, and all after which it isn't asked about again.
DECIDED_AGAINST = frozenset(
    (ReviewOutcome.REJECTED, ReviewOutcome.CHANGES_ASKED, ReviewOutcome.WITHDRAWN)
)
REFUSALS = DECIDED_AGAINST | {ReviewOutcome.EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many of whom must approve: `people` different ones of those in `asked`.

    `asked` are users, groups, or roles as `role:reviewer`. A `fixed` one, which a rule demands, stays as it
    is when the review is escalated to others.
    """

    asked: tuple[str, ...] = (REVIEWERS,)
    people: int = 1
    fixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRows:
    """Quarantined rows of a partition, by their numbers in an object; without numbers all of them.

    `fixed` is the object with their corrections, "" for rows as they are.
    """

    partition: str
    object: str
    rows: tuple[int, ...] = ()
    fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A question to people: may this change go to its users?

    It is bound to `subject`, the digest of exactly what is decided on. `part` says which part of what is
    called `name` that is, as text; "" stands for all of it. `artifact` is the model, "" for other
    kinds, and `replaces` the one that was live when it was opened. All `quorums` must be met. `author`, who
    asked for the change, counts in none where `author_may_approve` is False. `decision` is the
    policy decision that was made on the change, with its facts, and `verdict` what the gates decided, which
    is recorded once people agree. Those who made the token of the author, and so could act in that name, are
    in `author_vouched_by`. `source` is the environment whose promotion asked, "" where another command did:
    what is approved goes on with that promotion. `held` are the rows that a release is about, `as_of` the
    run whose deliveries of a table would come back, "" for new ones. People have
    `within` seconds from each question. Times are Unix seconds.
    """

    id: str
    kind: SubjectKind
    name: str
    subject: str
    quorums: tuple[Quorum, ...]
    artifact: str = ""
    replaces: str = ""
    reasons: tuple[str, ...] = ()
    author: str = ""
    author_may_approve: bool = True
    opened: float = 0.0
    within: float | None = None
    on_timeout: TimeoutAction = TimeoutAction.REJECT
    escalate_to: tuple[str, ...] = (ADMINS,)
    decision: str = ""
    verdict: Decision | None = None
    run: str = ""
    author_vouched_by: tuple[str, ...] = ()
    part: str = ""
    source: str = ""
    held: HeldRows | None = None
    as_of: str = ""

    @property
    def label(self) -> str:
        """What people call the change: its name, and the part of it."""
        return f"{self.name} {self.part}".rstrip()

    @property
    def asked(self) -> tuple[str, ...]:
        """Everybody who is asked, in order."""
        return tuple(dict.fromkeys(name for quorum in self.quorums for name in quorum.asked))

    @property
    def people(self) -> int:
        """The least number of people who must approve."""
        return max(quorum.people for quorum in self.quorums)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person chose in a review, and why.

    `counts_as` are those of the asked that the person was, or belonged to, at the time of the vote. An admin
    who isn't one of them `stands_in` for a missing member of that quorum, counted from 0. Those who made
    the token of the person or keep its login, and so could vote in that name, are in `vouched_by`.
    """

    actor: str
    choice: Choice
    reason: str
    at: float
    counts_as: tuple[str, ...] = ()
    note: str = ""
    vouched_by: tuple[str, ...] = ()
    stands_in: int | None = None
