"""The page of a review answers five questions, and says where the review stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.governance.page_text import text_page
from tidemill.governance.page_values import section
from tidemill.governance.review_page import question, review_page, span
from tidemill.governance.review_state import ReviewState, fold_reviews
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.governance_events import ReviewClosed, ReviewExtended, ReviewOpened, Voted
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import ADMINS, Review, ReviewOutcome, TimeoutAction
from tidemill.testing import records as samples

STORED = (
    section("What changes", ["m would replace l"]),
    section("What gets worse", ["mae"]),
    section("How to go back", ["roll back"]),
    section("Cost"),
)


def state_of(*events: Event, environment: str = "prod", **terms: object) -> ReviewState:
    review: Review = replace(samples.review(), **terms)  # type: ignore[arg-type]
    facts = [ReviewOpened(environment=environment, review=review), *events]
    recorded = [RecordedEvent(seq=n, at=100.0 + n, event=e) for n, e in enumerate(facts, 1)]
    return fold_reviews(recorded, environment)["r1"]


def test_an_open_review_says_who_may_decide_how_and_until_when() -> None:
    vote = replace(samples.vote(), note="by phone")
    state = state_of(Voted(environment="prod", review="r1", vote=vote))
    page = review_page(state, STORED, now=200.0, notes=["leads: ben, cleo"])
    assert [part.title for part in page.sections] == [
        "What changes", "What gets worse", "Who may decide", "Votes so far", "How to go back",
    ]  # fmt: skip
    assert page.title == "Should delay_model artifact go live?"
    text = text_page(page)
    assert "in 13 minutes): 1 of 2 approvals (ben)" in page.state
    for words in (
        "asked: 2 of the reviewers (not ana, who asked for the change)",
        "leads: ben, cleo",
        "one rejection, or request for changes, ends the review",
        "with the last approval artifact is live at once",
        "then the change is rejected",
        'tidemill review approve r1 --reason "WHY"',
        "seen the slices (by phone)",
    ):
        assert words in text
    shuffled = review_page(state, [section("Facts", ["a"])], now=200.0)
    assert [part.title for part in shuffled.sections] == ["Facts", "Who may decide", "Votes so far"]


def test_what_is_no_model_goes_live_by_no_vote() -> None:
    text = text_page(review_page(state_of(artifact="", replaces=""), STORED, now=200.0))
    assert "one rejection, or request for changes, ends the review" in text
    assert "is live at once" not in text


@pytest.mark.parametrize(
    ("environment", "command"), [("prod", "promote dev"), ("stage", "promote dev stage")]
)
def test_what_a_promotion_asked_about_goes_on_with_it(environment: str, command: str) -> None:
    state = state_of(environment=environment, source="dev")
    text = text_page(review_page(state, STORED, now=200.0))
    assert f"with the last approval `tidemill {command}` goes on with exactly this" in text
    assert "is live at once" not in text


def test_a_part_of_a_stage_is_named() -> None:
    review = replace(samples.review(), kind=SubjectKind.RELEASE, name="raw", part="2024 (rows 1)")
    assert question(review) == "Should the quarantined rows of raw 2024 (rows 1) be released?"


def test_a_review_that_ended_offers_no_command() -> None:
    closed = ReviewClosed(
        environment="prod", review="r1", outcome=ReviewOutcome.REJECTED, actor="ben", reason="UA"
    )
    page = review_page(state_of(closed), STORED, now=200.0)
    assert page.state.startswith("Review r1 was rejected by ben on ")
    assert page.title == "delay_model artifact: rejected"
    assert "tidemill review approve" not in text_page(page)


@pytest.mark.parametrize(
    ("terms", "events", "says"),
    [
        ({"within": None, "author": ""}, [], "there is no time limit"),
        ({"on_timeout": TimeoutAction.REMIND}, [], "then its people are asked again"),
        ({"on_timeout": TimeoutAction.ESCALATE}, [], "then it goes to the admins as well"),
        (
            {"on_timeout": TimeoutAction.ESCALATE},
            [ReviewExtended(environment="dev", review="r1", expires=900.0, escalated_to=(ADMINS,))],
            "then the change is rejected",
        ),
    ],
)
def test_what_happens_when_time_is_over(
    terms: dict[str, object], events: list[Event], says: str
) -> None:
    state = state_of(*events, environment="dev", **terms)
    text = text_page(review_page(state, STORED, now=2000.0))
    assert says in text
    assert "tidemill review approve r1 --env dev --reason" in text


@pytest.mark.parametrize("kind", SubjectKind)
def test_every_kind_has_a_question(kind: SubjectKind) -> None:
    assert "delay_model" in question(replace(samples.review(), kind=kind))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "over"),
        (60.0, "in about a minute"),
        (119.0, "in 2 minutes"),
        (7_000.0, "in 117 minutes"),
        (9_000.0, "in 2 hours"),
        (260_000.0, "in 3 days"),
    ],
)
def test_spans_of_time_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
