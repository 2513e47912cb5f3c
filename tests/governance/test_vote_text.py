"""What came of a vote: approvals that are missing, an end, a version that is live, or what goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.governance.test_review_page import state_of
from tidemill.governance.vote_text import voted_text
from tidemill.ledger.governance_events import ReviewClosed
from tidemill.ledger.review import Choice, HeldRows, ReviewOutcome
from tidemill.testing import records as samples

APPROVED = ReviewClosed(
    environment="prod", review="r1", outcome=ReviewOutcome.APPROVED, reason="fine", actor="ben"
)


def test_an_open_review_says_what_is_missing() -> None:
    text = voted_text(state_of(), samples.vote())
    assert text == "recorded: approve by ben; 0 of 2 approvals"


def test_a_model_is_live_with_the_last_approval() -> None:
    text = voted_text(state_of(APPROVED), samples.vote(), went_live="a1", notes=["not attested"])
    assert text.splitlines()[1:] == ["delay_model a1 is live", "not attested"]


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "the next run goes on"),
        ({"source": "dev"}, "the next promotion of dev goes on"),
        ({"held": HeldRows(partition="p", object="o")}, "the next `tidemill quarantine release"),
    ],
)
def test_other_changes_go_on_with_what_comes_next(terms: dict[str, Any], words: str) -> None:
    assert words in voted_text(state_of(APPROVED, **terms), samples.vote())


def test_a_rejection_only_ends_the_review() -> None:
    closed = replace(APPROVED, outcome=ReviewOutcome.REJECTED)
    text = voted_text(state_of(closed), samples.vote(choice=Choice.REJECT))
    assert text.startswith("review r1 was rejected by ben")
    assert "\n" not in text
