"""Reviews as recorded: who is asked, and how many."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.review import REVIEWERS, Quorum
from tidemill.testing import records as samples


def test_a_review_asks_those_of_all_quorums() -> None:
    review = samples.review()
    assert (review.asked, review.people) == ((REVIEWERS,), 2)
    leads = Quorum(asked=("leads", REVIEWERS), people=3)
    both = replace(review, quorums=(*review.quorums, leads))
    assert (both.asked, both.people) == ((REVIEWERS, "leads"), 3)
