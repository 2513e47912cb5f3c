"""Decisions of the policy, and waivers of its rules, as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

# The value of a fact; None where it isn't known.
FactValue: TypeAlias = bool | int | float | str | tuple[str, ...] | None


class SubjectKind(StrEnum):
    """The kind of change that is decided on.

    A model that goes live, partitions that go to a table or sink, a changed contract, a promotion between
    environments, or a release of quarantined rows.
    """

    DELIVERY = "delivery"
    TABLE = "table"
    CONTRACT = "contract"
    PROMOTION = "promotion"
    RELEASE = "release"


class PolicyOutcome(StrEnum):
    """The outcome of a decision: the change may go on, waits for a review, or is refused."""

    ALLOW = "allow"
    REVIEW = "review"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """A rule that applies to a subject.

    `effect` is what it asks for, `message` why; `approvers`, `people` and `author_may_approve` say who may
    approve it where it asks for a review. `error` says what kept the rule from being evaluated, which
    refuses the subject; `missing` are the facts that weren't known, if that is why. `waiver` is the id of the
    waiver that lifts it; "" if none does.
    """

    rule: str
    effect: str
    message: str
    approvers: tuple[str, ...] = ()
    people: int = 1
    error: str = ""
    waiver: str = ""
    author_may_approve: bool = True
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """The decision of the rules on one subject, with all that is needed to make it once more.

    `subject` is the digest of exactly what was decided on, `name` the stage or environment that it belongs
    to. `rules` is the digest of the rules then. `actor` asked for the change, in the run `run` if there was
    one. `at` is in Unix seconds. `facts` has every declared fact, None for those that weren't known.
    `waivers` are those in force for `name`, also if they lift no rule that applies. `evidence` is the digest
    of what the gates measured a model by; "" if they measured nothing.
    """

    id: str
    kind: SubjectKind
    subject: str
    name: str
    outcome: PolicyOutcome
    facts: Mapping[str, FactValue]
    hits: tuple[RuleHit, ...] = ()
    rules: str = ""
    actor: str = ""
    run: str = ""
    at: float = 0.0
    waivers: tuple[str, ...] = ()
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A person lifts a rule for the stages or environments whose names match `scope`, until it expires.

    `scope` is a pattern such as `delay_*`. Times are Unix seconds.
    """

    id: str
    rule: str
    scope: str
    reason: str
    actor: str
    at: float
    expires: float
    note: str = ""
