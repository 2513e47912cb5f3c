"""People see all that is needed to decide, and decide on exactly that, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.console import Visitor
from tests.support.shop_models import retrain
from tidemill.console.views.reviews import list_reviews, show_review, vote_on_review
from tidemill.console.views.shell import show_shell
from tidemill.core.errors import UsageError
from tidemill.governance.permissions import Actor
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Choice, Review, ReviewOutcome
from tidemill.project.project import Project, open_project
from tidemill.testing import records as samples

HOSTILE = '<script>alert(1)</script> "onmouseover=alert(1)" \u202egnp.exe'


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def open_id(project: Project) -> str:
    return list_reviews(project).open[0].id


def test_a_review_says_what_changes_and_compares_the_versions(project: Project) -> None:
    found = show_review(project, open_id(project))
    titles = [part.title for part in found.sections]
    assert titles[:4] == ["What changes", "Why now", "What gets worse", "How to go back"]
    assert [each.role for each in found.versions] == ["live", "candidate"]
    assert {each.metric for each in found.comparisons} == {"mae", "rmse"}
    [card] = found.versions[1].scores
    assert (card.evaluation, card.by, len(card.days)) == ("demand_scores", "kind", 16)
    assert card.metrics[0].interval is not None
    assert found.obstacles == {}
    assert any("asked: the reviewers" in line for line in found.people)
    # What somebody saw has the same entity tag later, while nothing happens.
    clock = project.workspace.tools.clock
    project.workspace.tools = replace(project.workspace.tools, clock=lambda: clock() + 3_600)
    assert show_review(project, found.review.id) == found


def test_reviews_are_listed_open_ones_first_and_by_pages(project: Project) -> None:
    events: list[Event] = []
    for number in range(5):
        review = replace(samples.review(), id=f"old{number}", kind=SubjectKind.TABLE, name=HOSTILE)
        events += [
            ReviewOpened(environment="prod", review=review),
            ReviewClosed(
                environment="prod", review=review.id, outcome=ReviewOutcome.REJECTED,
                reason=HOSTILE, actor="ana",
            ),
        ]  # fmt: skip
    project.tools.ledger.append(events, now=5.0)
    assert [each.is_open for each in list_reviews(project).open] == [True]
    first = list_reviews(project, "all", limit=2)
    assert [each.id for each in first.ended] == ["old4", "old3"]
    rest = list_reviews(project, "all", before=first.next, limit=4)
    assert [each.id for each in rest.ended] == ["old2", "old1", "old0"]
    assert (rest.open, len(first.open)) == ((), 1)
    assert list_reviews(project, "all", before=first.next, limit=2).next
    with pytest.raises(UsageError, match="neither of open and all"):
        list_reviews(project, "closed")


def test_an_approval_makes_the_candidate_live_and_says_so(project: Project) -> None:
    id = open_id(project)
    with pytest.raises(UsageError, match="none of approve, reject, changes"):
        vote_on_review(project, id, "maybe", "why")
    done = vote_on_review(project, id, "approve", "better everywhere")
    assert f"demand {done.went_live} is live" in done.told
    assert done.review.outcome is ReviewOutcome.APPROVED
    assert project.state().live["demand"].artifact.id == done.went_live
    later = show_review(project, id)
    assert (later.people, later.obstacles) == ((), {})
    assert [vote.reason for vote in later.votes] == ["better everywhere"]
    # It asks nothing any more, and leads to where one goes back.
    assert later.review.title == f"demand {done.went_live}: approved"
    assert later.way_back is not None
    assert later.way_back.live.version == done.went_live


def test_whoever_is_not_asked_learns_why(project: Project) -> None:
    id = open_id(project)
    grants = Grants(grants=(Grant(who="vic", role=Role.VIEWER), Grant(who="ben", role=Role.ADMIN)))
    project.workspace.settings = replace(project.workspace.settings, grants=grants)
    assert show_shell(project.acting_as(Actor(name="ben"))).waits_for_you == 1
    assert show_shell(project.acting_as(Actor(name="vic"))).waits_for_you == 0
    seen = show_review(project.acting_as(Actor(name="vic")), id)
    assert set(seen.obstacles) == {*Choice}
    assert "that needs the role reviewer" in seen.obstacles[Choice.APPROVE]


def test_a_change_that_is_no_model_has_no_scores(project: Project) -> None:
    review: Review = replace(
        samples.review(), id="t1", kind=SubjectKind.TABLE, name="out", artifact="", replaces=""
    )
    project.tools.ledger.append([ReviewOpened(environment="prod", review=review)], now=5.0)
    found = show_review(project, "t1")
    assert (found.versions, found.comparisons) == ((), ())
    gone = replace(review, id="t2", kind=SubjectKind.DELIVERY, name="demand", artifact="gone")
    project.tools.ledger.append(
        [ReviewOpened(environment="prod", review=replace(gone, name="removed_model"))], now=6.0
    )
    assert show_review(project, "t2").versions == ()


def test_the_page_is_decided_once_and_on_what_was_seen(shop: Visitor, shops: Path) -> None:
    [listed] = shop.api("/reviews")["open"]
    path = f"/reviews/{listed['id']}"
    page = shop.page(path)
    assert "style=" not in page.text
    for words in (
        "What gets worse",
        "Recorded as",
        "Gain in mae",
        "Calibration",
        "rollback demand",
    ):
        assert words in page.words, words
    seen = shop.send(page, f"{path}/votes", {"choice": "changes", "reason": f"no {HOSTILE}"})
    assert seen.url.endswith(path)
    assert "changes that were asked for" in seen.words
    assert "<script>alert" not in seen.text
    assert "\u202e" not in seen.text
    # Who still has the page from before is told, and keeps the reason.
    late = shop.send(page, f"{path}/votes", {"choice": "approve", "reason": "I like it"})
    assert late.status == 412
    assert "nothing was done" in late.words
    assert "I like it" in late.words
    assert f'href="{path}"' in late.text
    # The decision stands once.
    decided = shop.page(path).words
    assert "Decide" not in decided
    assert "Who may decide" not in decided
    assert decided.count("changes that were asked for") == 1
    ended = shop.page("/reviews?which=all")
    assert "<script>alert" not in ended.text
    assert listed["id"] in ended.words
    retrain(shops, 12)
    assert len(shop.api("/reviews")["open"]) == 1


def test_the_api_wants_the_entity_tag_of_what_was_seen(shop: Visitor) -> None:
    [listed] = shop.api("/reviews")["open"]
    path = f"/reviews/{listed['id']}"
    body = {"choice": "reject", "reason": "too few rows"}
    assert shop.post(f"{path}/votes", body)[0] == 428
    assert shop.post(f"{path}/votes", body, **{"If-Match": '"other"'})[0] == 412
    tag = shop.client.get(f"/api/v1{path}").headers["etag"]
    status, found = shop.post(f"{path}/votes", body, **{"If-Match": tag})
    assert (status, found["review"]["outcome"]) == (200, "rejected")
    assert shop.post(f"{path}/votes", body, **{"If-Match": tag})[0] == 412
    assert shop.post(f"{path}/votes", {"choice": "reject"}, **{"If-Match": tag})[0] == 400


def test_a_review_that_was_overtaken_says_so_before_anybody_votes(
    shop: Visitor, project: Project
) -> None:
    [state] = project.reviews.list()
    vote_on_review(project, state.review.id, "approve", "better")
    again = ReviewOpened(environment="prod", review=replace(state.review, id="r9again"))
    project.tools.ledger.append([again], now=project.tools.clock())
    why = f"version {state.review.replaces} of demand was live when people were asked"
    assert list_reviews(project).open[0].overtaken.startswith(why)
    seen = show_review(project, "r9again")
    assert seen.review.overtaken.startswith(why)
    assert [*seen.obstacles] == [Choice.APPROVE]
    page = shop.page("/reviews/r9again")
    assert "This can't be approved any more: " in page.words
    assert "superseded" in page.words
    assert 'value="approve"' not in page.text
    assert "superseded" in shop.page("/reviews").words
    listed = tidemill("review", "list").out
    assert "superseded" in listed
    assert f"r9again can't be approved any more: {why}" in listed
    assert "can't be approved any more: Should demand" in tidemill("status", "--json").out


def test_an_approved_review_leads_to_where_one_goes_back(shop: Visitor, project: Project) -> None:
    id = open_id(project)
    vote_on_review(project, id, "approve", "better everywhere")
    page = shop.page(f"/reviews/{id}")
    assert "Should" not in page.words
    assert "tidemill rollback" not in page.words
    assert 'href="/models/demand#go-back"' in page.text
