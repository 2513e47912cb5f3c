"""Reviews as values: who is asked, what ends them, and that what ended stays so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.governance.review_state import (
    ReviewState,
    ReviewSubject,
    fold_reviews,
    open_review,
    standing_review,
    superseding_events,
    timeout_events,
)
from tidemill.governance.review_tally import tally
from tidemill.ledger.event import EnvironmentDropped, Event, RecordedEvent
from tidemill.ledger.governance_events import (
    NoticeSent,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    Voted,
)
from tidemill.ledger.policy import RuleHit, SubjectKind
from tidemill.ledger.review import (
    ADMINS,
    REVIEWERS,
    Choice,
    Quorum,
    Review,
    ReviewOutcome,
    TimeoutAction,
)
from tidemill.ledger.schedule_events import Ticked
from tidemill.testing import records as samples
from tidemill.testing.records import PROD

DELIVERY = SubjectKind.DELIVERY


def facts(*events: Event, at: float = 100.0) -> list[RecordedEvent]:
    return [RecordedEvent(seq=n, at=at + n, event=event) for n, event in enumerate(events, 1)]


def opened(review: Review) -> ReviewOpened:
    return ReviewOpened(environment=PROD, review=review)


def voted(actor: str, choice: Choice = Choice.APPROVE, *groups: str, review: str = "r1") -> Voted:
    vote = replace(samples.vote(actor, choice), counts_as=groups or (REVIEWERS,))
    return Voted(environment=PROD, review=review, vote=vote)


def closed(outcome: ReviewOutcome, review: str = "r1") -> ReviewClosed:
    return ReviewClosed(environment=PROD, review=review, outcome=outcome)


def state_of(*events: Event, review: Review | None = None) -> ReviewState:
    return fold_reviews(facts(opened(review or samples.review()), *events), PROD)["r1"]


def test_events_make_the_state_of_a_review() -> None:
    state = state_of(
        voted("ben"),
        voted("cleo", Choice.CHANGES),
        voted("ben", Choice.REJECT),
        ReviewPageStored(environment=PROD, review="r1", page="page"),
        NoticeSent(environment=PROD, review="r1", about=1, channel="slack"),
        ReviewExtended(environment=PROD, review="r1", expires=1900.0, escalated_to=(ADMINS,)),
        Voted(environment=PROD, review="unknown", vote=samples.vote()),
        replace(voted("dan"), environment="dev"),
        Ticked(schedule="nightly", tick="1"),
    )
    assert [(vote.actor, vote.choice) for vote in state.votes] == [
        ("cleo", Choice.CHANGES),
        ("ben", Choice.REJECT),
    ]
    assert (state.page, state.extensions) == ("page", 1)
    assert state.sent == {(1, "slack")}
    assert (state.expires, state.asked) == (1900.0, (REVIEWERS, ADMINS))
    assert [fact.seq for fact in state.events] == [1, 2, 3, 4, 7]


def test_a_review_that_ended_stays_so() -> None:
    state = state_of(
        closed(ReviewOutcome.EXPIRED),
        voted("ben"),
        closed(ReviewOutcome.APPROVED),
        opened(samples.review()),
    )
    assert (state.outcome, state.votes, state.closed) == (ReviewOutcome.EXPIRED, (), 102.0)
    assert not state.has_expired(1e9)
    assert timeout_events(state, 1e9) == ()


def test_rules_and_terms_each_ask_their_own_people() -> None:
    decision = replace(
        samples.policy_decision(),
        hits=(
            RuleHit(rule="shift", effect="review", message="moves", approvers=("leads",), people=2),
            RuleHit(rule="pii", effect="review", message="personal data", author_may_approve=False),
            RuleHit(rule="cost", effect="warn", message="dear", approvers=("finance",)),
            RuleHit(rule="owner", effect="review", message="none", approvers=("hr",), waiver="w1"),
        ),
    )
    terms = tm.review(by="leads", within="1h", on_timeout="escalate", escalate_to=["head"])
    change = ReviewSubject(kind=DELIVERY, name="m", subject="s", reasons=("first delivery",))
    review = open_review(change, terms, decision, id="r2", author="ana", now=5.0)
    assert review.quorums == (
        Quorum(asked=("leads",), people=2, fixed=True),
        Quorum(fixed=True),
    )
    assert (review.asked, review.people) == (("leads", REVIEWERS), 2)
    assert review.reasons == ("shift: moves", "pii: personal data", "first delivery")
    assert not review.author_may_approve
    assert (review.within, review.on_timeout) == (3600.0, TimeoutAction.ESCALATE)
    assert (review.escalate_to, review.decision) == (("head",), "p1")
    bare = open_review(change, None, None, id="r", author="", now=5.0)
    assert (bare.quorums, bare.author_may_approve, bare.within) == ((Quorum(),), True, None)


def test_reviews_end_with_their_environment() -> None:
    facts: list[Event] = [
        ReviewOpened(environment="dev", review=samples.review("r1")),
        closed(ReviewOutcome.APPROVED),
        EnvironmentDropped(environment="dev"),
        ReviewOpened(environment="dev", review=samples.review("r2")),
    ]
    recorded = [RecordedEvent(seq=n, at=100.0, event=e) for n, e in enumerate(facts, 1)]
    assert list(fold_reviews(recorded, "dev")) == ["r2"]


def test_time_ends_reminds_or_escalates() -> None:
    review = replace(samples.review(), on_timeout=TimeoutAction.REJECT)
    state = state_of(review=review)
    assert timeout_events(state, 999.0) == ()
    assert timeout_events(state, 1000.0) == (
        ReviewClosed(
            environment=PROD,
            review="r1",
            outcome=ReviewOutcome.EXPIRED,
            reason="nobody decided in time",
        ),
    )
    state = state_of(review=replace(review, on_timeout=TimeoutAction.REMIND))
    assert timeout_events(state, 2000.0) == (
        ReviewExtended(environment=PROD, review="r1", expires=2900.0),
    )
    review = replace(review, on_timeout=TimeoutAction.ESCALATE)
    (extended,) = timeout_events(state_of(review=review), 1000.0)
    assert isinstance(extended, ReviewExtended)
    assert extended.escalated_to == (ADMINS,)
    state = state_of(extended, review=review)
    assert tally(
        state_of(extended, voted("root", Choice.APPROVE, ADMINS), voted("ben"), review=review)
    )
    assert timeout_events(state, 1899.0) == ()
    (last,) = timeout_events(state, 1900.0)
    assert isinstance(last, ReviewClosed)
    forever = state_of(review=replace(review, within=None))
    assert timeout_events(forever, 1e12) == ()


def test_a_clock_that_jumps_back_opens_no_time() -> None:
    state = fold_reviews(
        [
            RecordedEvent(seq=1, at=100.0, event=opened(samples.review())),
            RecordedEvent(seq=2, at=1500.0, event=voted("ben")),
        ],
        PROD,
    )["r1"]
    assert state.has_expired(0.0)  # an event of later is recorded
    assert state.moment(0.0) == 1500.0


def test_the_last_review_of_exactly_a_subject_stands() -> None:
    review = samples.review()
    states = fold_reviews(facts(opened(review)), PROD)
    assert standing_review(states, (DELIVERY, review.name, ""), "subject") is states["r1"]
    assert standing_review(states, (DELIVERY, review.name, ""), "other") is None
    assert standing_review(states, (DELIVERY, "other_model", ""), "subject") is None
    [ended] = superseding_events(states, (DELIVERY, review.name, ""), "a newer one waits")
    assert (ended.review, ended.outcome) == ("r1", ReviewOutcome.SUPERSEDED)
    assert superseding_events(states, (DELIVERY, "other_model", ""), "") == ()
    events = opened(review), closed(ReviewOutcome.APPROVED), opened(replace(review, id="r2"))
    asked = fold_reviews(facts(*events), PROD)
    assert standing_review(asked, (DELIVERY, review.name, ""), "subject") is asked["r2"]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(list(Choice))), max_size=8),
    st.integers(1, 3),
    st.booleans(),
)
def test_approval_needs_that_many_different_people(
    votes: Sequence[tuple[str, Choice]], people: int, author_counts: bool
) -> None:
    review = replace(samples.review(people=people), author="a", author_may_approve=author_counts)
    outcome = tally(state_of(*(voted(*vote) for vote in votes), review=review))
    last = dict(votes)
    agree = {who for who, choice in last.items() if choice is Choice.APPROVE}
    agree -= set() if author_counts else {"a"}
    against = set(last.values()) - {Choice.APPROVE}
    assert (outcome is ReviewOutcome.APPROVED) == (len(agree) >= people and not against)
