"""Events of governance: tokens, rules, waivers, reviews, erasures, and what no other event tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.access_token import AccessToken
from tidemill.ledger.policy import PolicyDecision, Waiver
from tidemill.ledger.review import Review, ReviewOutcome, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCreated:
    """A token was created that opens endpoints of an environment, or lets its holder do more."""

    environment: str
    token: AccessToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked:
    """A person revoked a token, which opens nothing from now on."""

    environment: str
    token: str
    actor: str
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesLoaded:
    """Rules were used for the first time: the `text` of their file, the digests of called `functions`."""

    environment: str
    rules: str
    text: str
    functions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecided:
    """The rules decided on a change; it went on by the approval in a `review`, if there was one."""

    environment: str
    decision: PolicyDecision
    review: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPublished:
    """A stage publishes by a `contract` (as JSON) from now on; recorded where rules are on contracts."""

    environment: str
    stage: str
    contract: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A person waived a rule."""

    environment: str
    waiver: Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverEnded:
    """A person ended a waiver before it expired."""

    environment: str
    waiver: str
    actor: str
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOpened:
    """A change waits for people."""

    environment: str
    review: Review


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPageStored:
    """What people are shown about a review was stored as the object `page`."""

    environment: str
    review: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voted:
    """A person approved or rejected a change, or asked for changes to it."""

    environment: str
    review: str
    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewExtended:
    """Nobody decided in time: people have until `expires`, and those in `escalated_to` may decide, too."""

    environment: str
    review: str
    expires: float
    escalated_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewClosed:
    """A review ended. `actor` ended it; "" where time or a newer candidate did."""

    environment: str
    review: str
    outcome: ReviewOutcome
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent:
    """A channel accepted the notice about the event number `about` of a review."""

    environment: str
    review: str
    about: int
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Somebody had what is stored of a person erased; recorded before it was removed.

    `subject` is a salted digest of whom it was about, and the salt isn't stored. `column` is the key by which
    rows were found; without one it was about `person`, of whom a reference stays. `removed` and `left` count
    rows or mentions by kind of place: those that were to be removed, and those that Tidemill doesn't remove.
    """

    environment: str
    subject: str
    column: str
    removed: Mapping[str, int]
    left: Mapping[str, int]
    actor: str
    reason: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """Somebody did what no other event tells, such as an export; recorded before it was done.

    `action` is one of those that need a role, as its name says it, and `subject` what it was done to.
    """

    environment: str
    action: str
    subject: str
    actor: str
    detail: str = ""
