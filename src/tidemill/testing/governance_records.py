"""Sample records of rules, waivers and reviews."""

from __future__ import annotations

from tidemill.ledger.event import Event
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
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome, RuleHit, SubjectKind, Waiver
from tidemill.ledger.review import REVIEWERS, Choice, Quorum, Review, ReviewOutcome, Vote
from tidemill.workflow.environment import PRODUCTION


def policy_decision(id: str = "p1", *, subject: str = "subject") -> PolicyDecision:
    """A decision that a candidate waits for two people, by one of two rules; the other is waived."""
    return PolicyDecision(
        id=id,
        kind=SubjectKind.DELIVERY,
        subject=subject,
        name="delay_model",
        outcome=PolicyOutcome.REVIEW,
        facts={"prediction_shift": 0.12, "sampled": False, "owner": "ops", "worse_slices": ("UA",)},
        hits=(
            RuleHit(rule="shift", effect="review", message="predictions move", people=2),
            RuleHit(rule="owner", effect="deny", message="no owner", waiver="w1"),
        ),
        rules="rules-digest",
        actor="ana",
        run="run-1",
        at=100.0,
        waivers=("w1",),
    )


def waiver(id: str = "w1") -> Waiver:
    """A waiver of the rule `owner` for all stages."""
    return Waiver(
        id=id, rule="owner", scope="*", reason="new team", actor="ana", at=50.0, expires=500.0
    )


def review(id: str = "r1", *, subject: str = "subject", people: int = 2) -> Review:
    """A review of a candidate that waits for reviewers."""
    return Review(
        id=id,
        kind=SubjectKind.DELIVERY,
        name="delay_model",
        subject=subject,
        artifact="artifact",
        reasons=("predictions move",),
        quorums=(Quorum(people=people),),
        author="ana",
        author_may_approve=False,
        opened=100.0,
        within=900.0,
        decision="p1",
        run="run-1",
    )


def vote(actor: str = "ben", choice: Choice = Choice.APPROVE, *, at: float = 120.0) -> Vote:
    """A vote of a person, with a reason."""
    return Vote(actor=actor, choice=choice, reason="seen the slices", at=at, counts_as=(REVIEWERS,))


def governance_events() -> list[Event]:
    """Rules, a decision that leads to a review, a vote and its end, and a waiver that was ended."""
    return [
        RulesLoaded(
            environment=PRODUCTION, rules="rules-digest", text="[[rule]]", functions={"f": "d"}
        ),
        PolicyDecided(environment=PRODUCTION, decision=policy_decision()),
        ContractPublished(environment=PRODUCTION, stage="features", contract="{}"),
        Waived(environment=PRODUCTION, waiver=waiver()),
        WaiverEnded(environment=PRODUCTION, waiver="w1", actor="ana", reason="has an owner"),
        ReviewOpened(environment=PRODUCTION, review=review()),
        ReviewPageStored(environment=PRODUCTION, review="r1", page=f"{'0' * 64}.json"),
        Voted(environment=PRODUCTION, review="r1", vote=vote()),
        ReviewExtended(
            environment=PRODUCTION, review="r1", expires=1900.0, escalated_to=("role:admin",)
        ),
        ReviewClosed(environment=PRODUCTION, review="r1", outcome=ReviewOutcome.SUPERSEDED),
        NoticeSent(environment=PRODUCTION, review="r1", about=5, channel="slack"),
        Erased(
            environment=PRODUCTION,
            subject="digest",
            column="customer",
            removed={"quarantine": 2},
            left={"published": 1},
            actor="ana",
        ),
        Acted(
            environment=PRODUCTION,
            action="restore a delivered table",
            subject="features",
            actor="ana",
            detail="as of run run-1",
        ),
    ]
