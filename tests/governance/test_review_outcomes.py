"""What the end of a review means for its model, and what keeps it from going live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.core.partition import WHOLE
from tidemill.governance.review_outcomes import (
    approval_events,
    is_evaluation_of,
    moved_on,
    refusal_events,
    review_decision,
)
from tidemill.governance.review_state import ReviewState, fold_reviews
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import EXPIRY, Delivery
from tidemill.ledger.event import Decided, Delivered, RecordedEvent
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.review import Review
from tidemill.reuse.input_contents import input_digest
from tidemill.testing import records as samples
from tidemill.testing.records import PROD
from tidemill.workflow.model import Artifact

VERDICT = samples.decided_event().decision
NEW = samples.model_artifact("new")
SCORED = samples.binding("k", replace(samples.product(), scores=samples.scores()))


def review() -> Review:
    return replace(samples.review(), artifact="new", replaces="old", verdict=VERDICT)


def state_of(asked: Review) -> ReviewState:
    event = ReviewOpened(environment=PROD, review=asked)
    return fold_reviews([RecordedEvent(seq=1, at=100.0, event=event)], PROD)["r1"]


def live(version: str) -> Delivery:
    return replace(samples.delivered_event(version).delivery, actor="eve")


def test_a_decision_in_a_review_is_newer_than_those_before() -> None:
    earlier = replace(VERDICT, at=500.0)
    found = review_decision(
        state_of(review()), approved=True, actor="ben", reason="fine", now=200.0, earlier=[earlier]
    )
    assert found is not None
    assert found.at > 500.0
    assert (found.subject, found.results, found.review) == (VERDICT.subject, VERDICT.results, "r1")
    first = review_decision(state_of(review()), approved=False, actor="b", reason="", now=0.0)
    assert first is not None
    assert first.at == 100.0  # not before the review was opened
    other = state_of(samples.review())
    assert review_decision(other, approved=True, actor="b", reason="", now=0.0) is None
    # What a promotion asks about isn't a candidate in its target.
    promoted = state_of(replace(review(), source="dev"))
    assert review_decision(promoted, approved=False, actor="b", reason="", now=0.0) is None


def test_a_refusal_is_recorded_for_models_only() -> None:
    [event] = refusal_events(state_of(review()), "", "nobody decided", 200.0, [])
    assert isinstance(event, Decided)
    assert (event.decision.actor, event.decision.verdict) == (EXPIRY, "rejected")
    assert refusal_events(state_of(samples.review()), "ben", "no", 200.0, []) == ()


def test_an_approval_makes_the_model_live() -> None:
    state = state_of(review())
    decision = review_decision(state, approved=True, actor="ben", reason="fine", now=200.0)
    assert decision is not None
    events = approval_events(state, decision, NEW, {"scores": SCORED}, [])
    [delivery] = [e.delivery for e in events if isinstance(e, Delivered)]
    assert (delivery.actor, delivery.replaced, delivery.artifact) == ("ben", "old", NEW)


@pytest.mark.parametrize(
    ("replaces", "now", "trained", "evaluated", "says"),
    [
        ("old", "old", NEW, {"scores": SCORED}, ""),
        ("", "", NEW, {"scores": SCORED}, ""),
        ("old", "", NEW, {"scores": SCORED}, "no version of delay_model is live any more"),
        ("old", "else", NEW, {"scores": SCORED}, "version old of delay_model was live when people"),
        ("", "else", NEW, {"scores": SCORED}, "no version of delay_model was live when people"),
        (
            "old",
            "old",
            samples.model_artifact("newer"),
            {"scores": SCORED},
            "version newer of delay_model was evaluated since people were asked about new",
        ),
        ("old", "old", None, {"scores": SCORED}, "new was removed"),
        ("old", "old", NEW, {"scores": None}, "new has no scores of scores any more"),
        ("old", "old", NEW, {}, "new has no scores of any evaluation any more"),
    ],
)
def test_what_happened_since_people_were_asked(
    replaces: str,
    now: str,
    trained: Artifact | None,
    evaluated: dict[str, Binding | None],
    says: str,
) -> None:
    asked = replace(review(), replaces=replaces)
    found = moved_on(asked, live(now) if now else None, trained, evaluated)
    assert says in found
    assert bool(found) == bool(says)


def test_an_evaluation_is_of_the_version_that_it_read() -> None:
    digest = input_digest({WHOLE: NEW.content}, None)
    own = replace(SCORED, inputs={NEW.stage: digest})
    assert is_evaluation_of(own, NEW)
    assert not is_evaluation_of(own, samples.model_artifact("another"))
    assert not is_evaluation_of(SCORED, NEW)
