"""Reviews and pages about changes in notebooks."""

from __future__ import annotations

import pytest

from tests.governance.test_review_page import state_of
from tidemill.governance.page_values import ReviewPage, page_table, section
from tidemill.governance.review_notebook import page_notebook, review_html
from tidemill.ledger.governance_events import ReviewClosed, Voted
from tidemill.ledger.review import ReviewOutcome
from tidemill.testing import records as samples

EVIL = "<script>alert(1)</script>"


def test_a_page() -> None:
    parts = (
        section(
            EVIL, [EVIL], table=page_table(("a",), [(EVIL,)]), commands=[EVIL], diff=[f"+{EVIL}"] * 80
        ),
        section("Lines", [str(n) for n in range(30)]),
    )  # fmt: skip
    html = page_notebook(ReviewPage(title=EVIL, state=EVIL, sections=parts))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 66
    assert "and 20 more lines" in html
    assert "<li>and 10 more</li>" in html
    assert ReviewPage(title="t", state="s", sections=())._repr_html_().startswith("<div")


@pytest.mark.parametrize(
    ("outcome", "css"), [(ReviewOutcome.APPROVED, "current"), (ReviewOutcome.REJECTED, "failed")]
)
def test_a_review(outcome: ReviewOutcome, css: str) -> None:
    vote = Voted(environment="prod", review="r1", vote=samples.vote())
    going = state_of(vote)
    html = review_html(going)
    assert html == going._repr_html_()
    assert "</svg>open</span>" in html
    assert "<td>ben</td>" in html
    assert "tidemill review show r1" in html
    closed = ReviewClosed(environment="prod", review="r1", outcome=outcome, reason="<so>")
    html = review_html(state_of(vote, closed))
    assert f'class="status {css}"' in html
    assert "&lt;so&gt;" in html
