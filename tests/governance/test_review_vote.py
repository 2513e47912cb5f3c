"""Votes in reviews: whose count, whose are refused, and what they end."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tidemill.core.errors import AccessError, GateError, UsageError
from tidemill.governance.review_state import ReviewState, approvers, fold_reviews
from tidemill.governance.review_vote import (
    Electorate,
    again_command,
    asked_text,
    ending_text,
    missing_text,
    require_open,
    require_vote,
    voting_events,
)
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.event import RecordedEvent, ReviewClosed, ReviewExtended, ReviewOpened, Voted
from tidemill.ledger.review import ADMINS, REVIEWERS, Choice, Quorum, Review, ReviewOutcome
from tidemill.testing import records as samples
from tidemill.testing.records import PROD

GROUPS = {"leads": frozenset({"ben", "cleo", "ana"})}
TEAM = Grants(
    grants=(
        Grant(who="root", role=Role.ADMIN),
        Grant(who="@leads", role=Role.REVIEWER),
        Grant(who="vic", role=Role.VIEWER),
    ),
    groups=GROUPS,
)
EVERYBODY = Grants(groups=GROUPS)


def state_of(review: Review, *events: Voted | ReviewClosed | ReviewExtended) -> ReviewState:
    facts = [ReviewOpened(environment=PROD, review=review), *events]
    recorded = [RecordedEvent(seq=n, at=100.0 + n, event=e) for n, e in enumerate(facts, 1)]
    return fold_reviews(recorded, PROD)[review.id]


def asks(*asked: str, people: int = 1, author_may: bool = False) -> Review:
    quorums = (Quorum(asked=asked or (REVIEWERS,), people=people),)
    return replace(samples.review(), quorums=quorums, author_may_approve=author_may)


def capacity(
    review: Review, person: str, choice: Choice = Choice.APPROVE, grants: Grants = TEAM,
    now: float = 200.0, vouched_by: tuple[str, ...] = (),
) -> tuple[str, ...]:  # fmt: skip
    voters = Electorate(grants=grants, workflow="flights")
    vote = replace(samples.vote(person, choice), vouched_by=vouched_by)
    return require_vote(state_of(review), voters, vote, now)


@pytest.mark.parametrize(
    ("asked", "person", "found"),
    [
        ((), "ben", (REVIEWERS,)),
        ((), "root", (REVIEWERS,)),  # an admin may do what a reviewer may
        (("leads",), "ben", ("leads",)),
        (("@leads", "cleo"), "cleo", ("@leads", "cleo")),
        ((ADMINS,), "root", (ADMINS,)),
    ],
)
def test_people_vote_as_what_they_are_asked_as(
    asked: tuple[str, ...], person: str, found: tuple[str, ...]
) -> None:
    assert capacity(asks(*asked), person) == found


@pytest.mark.parametrize(
    ("review", "person", "says"),
    [
        (asks("leads"), "root", r"^root isn't asked in review r1: asked are leads \(not ana, who"),
        (asks(), "vic", "has no role that may decide in flights: asked are every reviewer"),
        (asks("vic", "ben"), "vic", "has no role that may decide"),  # asked, but a viewer
        (asks("leads"), "ana", "^ana asked for the change in review r1 and doesn't approve it"),
        (asks(), "eve", "eve isn't asked"),
    ],
)
def test_others_are_refused_with_who_is_asked(review: Review, person: str, says: str) -> None:
    with pytest.raises(AccessError, match=says):
        capacity(review, person)


def test_an_author_may_withdraw_and_approve_where_allowed() -> None:
    assert capacity(replace(asks("leads"), author="vic"), "vic", Choice.REJECT) == ()
    with pytest.raises(AccessError, match="vic isn't asked"):
        capacity(replace(asks("leads"), author="vic"), "vic", Choice.CHANGES)
    assert capacity(asks("leads", author_may=True), "ana") == ("leads",)


def test_a_vote_after_the_deadline_or_the_end_comes_too_late() -> None:
    with pytest.raises(
        GateError, match=r"review r1 expired at .* `tidemill run delay_model --again`"
    ):
        capacity(asks(), "ben", now=1000.0)
    closed = ReviewClosed(
        environment=PROD, review="r1", outcome=ReviewOutcome.REJECTED, actor="cleo", reason="UA"
    )
    state = state_of(asks(), closed)
    with pytest.raises(GateError, match=r"review r1 was rejected by cleo on .*: UA; nothing was"):
        require_open(state)
    bare = replace(state, closed_by="", reason="", closed=None)
    assert ending_text(bare) == "review r1 was rejected"
    assert again_command(state_of(replace(asks(), artifact=""))) == "tidemill run --again"


def test_admins_stand_in_where_too_few_people_are_left() -> None:
    gone = asks("left", "gone")
    voters = Electorate(grants=TEAM, workflow="flights")
    assert voters.notes(state_of(gone)) == (
        "left or gone: nobody is left who could be the first to approve, so that admins may decide, too",
    )
    assert capacity(gone, "root") == ("left",)
    with pytest.raises(AccessError):
        capacity(gone, "ben")
    # Of three leads one is the author, so that two can approve, but not three.
    members = "leads: ana, ben, cleo"
    assert voters.notes(state_of(asks("leads", people=2))) == (members,)
    assert "the third to approve" in voters.notes(state_of(asks("leads", people=3)))[1]
    assert "the 4th to approve" in voters.notes(state_of(asks("leads", people=4)))[1]
    # Who left after voting still counts.
    voted = Voted(
        environment=PROD, review="r1", vote=replace(samples.vote("dan"), counts_as=("leads",))
    )
    assert voters.notes(state_of(asks("leads", people=3), voted)) == (members,)


def test_without_roles_who_is_named_decides() -> None:
    assert capacity(asks(), "eve", grants=EVERYBODY) == (REVIEWERS,)
    assert capacity(asks("ben"), "ben", grants=EVERYBODY) == ("ben",)
    with pytest.raises(AccessError, match="eve isn't asked"):
        capacity(asks("leads"), "eve", grants=EVERYBODY)
    with pytest.raises(AccessError, match="eve isn't asked"):
        capacity(asks("dora@example.org"), "eve", grants=EVERYBODY)
    assert capacity(asks("dora@example.org"), "dora@example.org", grants=EVERYBODY) == (
        "dora@example.org",
    )


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(UsageError, match=r"asks 'role:boss'.*not a role"):
        capacity(asks("role:boss"), "ben")


def test_a_vote_ends_a_review_or_waits_for_others() -> None:
    review = asks(people=2)
    first = samples.vote("ben")
    outcome, events = voting_events(state_of(review), first)
    assert (outcome, events) == (None, (Voted(environment=PROD, review="r1", vote=first),))
    state = state_of(review, *(e for e in events if isinstance(e, Voted)))
    assert missing_text(state) == "1 of 2 approvals (ben)"
    outcome, (_, closed) = voting_events(state, samples.vote("cleo"))
    assert outcome is ReviewOutcome.APPROVED
    assert isinstance(closed, ReviewClosed)
    assert (closed.actor, closed.reason) == ("cleo", "seen the slices")


def test_who_is_asked_in_words() -> None:
    quorums = (Quorum(asked=("leads", "eve"), people=2), Quorum())
    state = state_of(replace(samples.review(), quorums=quorums, author=""))
    assert asked_text(state) == "2 of leads or eve; and every reviewer"
    assert missing_text(state) == (
        "0 of 2 approvals of leads or eve; 0 of 1 approval of role:reviewer"
    )
    extended = ReviewExtended(environment=PROD, review="r1", expires=5.0, escalated_to=(ADMINS,))
    assert asked_text(state_of(asks("eve", author_may=True), extended)) == "eve or every admin"


def test_the_author_does_not_approve_in_another_name() -> None:
    review = asks()
    assert capacity(review, "ben", vouched_by=("root",)) == (REVIEWERS,)
    with pytest.raises(
        AccessError, match="ana, who asked for the change, and ben may be one person"
    ):
        capacity(review, "ben", vouched_by=("root", "ana"))
    held = replace(review, author_vouched_by=("ben",))
    with pytest.raises(AccessError, match="may be one person"):
        capacity(held, "ben")
    assert capacity(held, "ben", Choice.REJECT) == (REVIEWERS,)
    assert capacity(asks(author_may=True), "ben", vouched_by=("ana",)) == (REVIEWERS,)


@pytest.mark.parametrize(
    ("makers", "people"),
    [
        ({"ben": (), "cleo": ()}, 2),
        # Somebody else made both tokens.
        ({"ben": ("root",), "cleo": ("root",)}, 2),
        ({"ben": (), "cleo": ("ben",)}, 1),
        ({"ben": ("cleo",), "cleo": ()}, 1),
        ({"ben": ("root",), "cleo": ("root",), "root": ()}, 1),
        ({"ben": ("cleo",), "cleo": ("dora",), "dora": ()}, 1),
        ({"ben": (), "cleo": ("ana",)}, 1),
        ({"ben": (), "ana": ()}, 1),
    ],
)
def test_tokens_that_a_person_made_make_no_second_person(
    makers: dict[str, tuple[str, ...]], people: int
) -> None:
    for order in permutations(makers):
        votes = (
            replace(samples.vote(name), counts_as=(REVIEWERS,), vouched_by=makers[name])
            for name in order
        )
        state = state_of(
            asks(), *(Voted(environment=PROD, review="r1", vote=vote) for vote in votes)
        )
        assert len(approvers(state, Quorum(asked=(REVIEWERS,)))) == people
