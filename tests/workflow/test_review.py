"""Terms of reviews: what they say, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.workflow.review import ReviewTerms


def test_terms_of_a_review() -> None:
    terms = tm.review(
        by=[" ops-leads", "ana", "ana"], when=" first_delivery ", within="24h", on_timeout="escalate",
        people=2, author_may_approve=False, escalate_to="boss",
    )  # fmt: skip
    assert terms == ReviewTerms(
        by=("ops-leads", "ana"), when="first_delivery", within=86_400.0, on_timeout="escalate",
        people=2, author_may_approve=False, escalate_to=("boss",),
    )  # fmt: skip
    assert tm.review() == ReviewTerms()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"people": 0}, r"people=0\): at least 1 person must approve"),
        ({"people": True}, "at least 1 person"),
        ({"within": "soon"}, "'soon' is not a duration"),
        ({"within": 0}, "0 is not a duration"),
        ({"within": "4000d"}, "is over 10 years: leave it out"),
        ({"on_timeout": "ignore"}, "'ignore'.* is not one of 'reject', 'remind', 'escalate'"),
        ({"on_timeout": "remind"}, "needs within="),
        ({"escalate_to": "boss"}, "needs on_timeout='escalate'"),
        ({"by": ["ana", ""]}, "'' is not a name"),
        ({"by": "a\0"}, "is not a name"),
        ({"by": [1]}, "1 is not a name"),
        ({"by": "role:boss"}, "the roles that may decide are 'role:reviewer' and 'role:admin'"),
        ({"by": None}, "write a name, or a list of names"),
        ({"by": {"ana": 1}}, "write a name, or a list of names"),
        ({"escalate_to": 3, "on_timeout": "escalate", "within": "1h"}, "write a name, or a list"),
        ({"by": [f"u{n}" for n in range(101)]}, r"review\(by=...\) has 101 names: declare a group"),
        ({"people": 21}, "at most 20 people can be needed"),
        ({"people": 10**400}, "at most 20 people can be needed"),
        # Any text would be true.
        ({"author_may_approve": "no"}, "author_may_approve='no'.*: write True or False"),
        ({"author_may_approve": None}, "author_may_approve=None.*: write True or False"),
        ({"when": 1}, "write an expression as text"),
    ],
)
def test_terms_that_make_no_sense_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        tm.review(**options)
