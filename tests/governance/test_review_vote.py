"""Votes in reviews: whose count, whose are refused, and what they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tidemill.core.errors import AccessError, GateError, UsageError
from tidemill.governance.review_state import ReviewState, fold_reviews
from tidemill.governance.review_tally import approvers, tally
from tidemill.governance.review_vote import (
    Electorate,
    asked_text,
    ending_text,
    missing_text,
    require_open,
    require_vote,
    voting_events,
)
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.governance_events import ReviewClosed, ReviewExtended, ReviewOpened, Voted
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
    return require_vote(state_of(review), voters, vote, now).counts_as


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
        (asks(), "vic", "has no role that may decide in flights: asked are the reviewers"),
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


def test_admins_stand_in_where_too_few_people_are_left() -> None:
    gone = asks("left", "gone")
    voters = Electorate(grants=TEAM, workflow="flights")
    assert voters.notes(state_of(gone)) == (
        "left or gone: nobody is left who could be the first to approve, so that an admin may do so: root",
    )
    assert require_vote(state_of(gone), voters, samples.vote("root"), 200.0) == replace(
        samples.vote("root"), counts_as=(), stands_in=0
    )
    with pytest.raises(AccessError):
        capacity(gone, "ben")
    # Of three leads one is the author, so that two can approve, but not three.
    members = "leads: ben, cleo"
    assert voters.notes(state_of(asks("leads", people=2))) == (members,)
    assert "the third to approve" in voters.notes(state_of(asks("leads", people=3)))[1]
    assert "the 4th to approve" in voters.notes(state_of(asks("leads", people=4)))[1]
    # Who left after voting still counts.
    voted = Voted(
        environment=PROD, review="r1", vote=replace(samples.vote("dan"), counts_as=("leads",))
    )
    assert voters.notes(state_of(asks("leads", people=3), voted)) == (members,)


STAFF = Grants(
    grants=(
        Grant(who="dan", role=Role.ADMIN),
        Grant(who="eve", role=Role.ADMIN),
        Grant(who="@leads", role=Role.REVIEWER),
        Grant(who="@security", role=Role.REVIEWER),
    ),
    groups={"leads": frozenset({"ben", "cleo"}), "security": frozenset({"ben", "eve"})},
)


def given_votes(
    review: Review, *people: str, makers: Mapping[str, tuple[str, ...]] | None = None
) -> ReviewState:
    """The review after approvals in this order, each as it counts then."""
    electorate, state = Electorate(grants=STAFF, workflow="flights"), state_of(review)
    for person in people:
        vote = replace(
            samples.vote(person), counts_as=(), vouched_by=(makers or {}).get(person, ())
        )
        state = state.voted(require_vote(state, electorate, vote, 200.0))
    return state


def two_quorums(*asked: str) -> Review:
    quorums = tuple(Quorum(asked=(name,)) for name in asked)
    return replace(samples.review(), quorums=quorums)


@pytest.mark.parametrize(
    ("asked", "people", "counted"),
    [
        # One admin who stands in is no two people.
        (("gone", "left"), ("dan",), [("dan",), ()]),
        (("gone", "left"), ("dan", "dan"), [("dan",), ()]),
        (("gone", "left"), ("dan", "eve"), [("dan",), ("eve",)]),
        # Who belongs to both groups counts in both.
        (("leads", "security"), ("ben",), [("ben",), ("ben",)]),
        # Eve counts as a member, and stands in once another member has approved.
        (("gone", "security"), ("eve",), [(), ("eve",)]),
        (("gone", "security"), ("eve", "ben", "eve"), [("eve",), ("ben",)]),
        (("security", "gone"), ("dan", "eve"), [("eve",), ("dan",)]),
    ],
)
def test_an_admin_stands_in_for_one_missing_person(
    asked: tuple[str, str], people: tuple[str, ...], counted: list[tuple[str, ...]]
) -> None:
    state = given_votes(two_quorums(*asked), *people)
    assert [approvers(state, number) for number in (0, 1)] == counted
    assert (tally(state) is ReviewOutcome.APPROVED) == all(counted)


def test_who_may_be_one_person_fills_no_second_quorum() -> None:
    state = given_votes(two_quorums("gone", "leads"), "dan", "cleo", makers={"dan": ("cleo",)})
    assert [approvers(state, number) for number in (0, 1)] == [(), ("dan",)]
    voters = Electorate(grants=STAFF, workflow="flights")
    assert voters.helpers(state, 0) == ("eve",)


def test_people_whose_tokens_make_them_one_are_too_few() -> None:
    both = replace(two_quorums("leads"), quorums=(Quorum(asked=("leads",), people=2),))
    makers = {"cleo": ("ben",)}
    state = given_votes(both, "ben", "cleo", makers=makers)
    voters = Electorate(grants=STAFF, workflow="flights")
    assert voters.notes(state)[1:] == (
        "leads: nobody is left who could be the second to approve, so that an admin may do so: dan, eve",
    )
    assert tally(given_votes(both, "ben", "cleo", "dan", makers=makers)) is ReviewOutcome.APPROVED
    # Ben made the token of the author, and doesn't count.
    vouched = replace(both, quorums=(Quorum(asked=("ben",)),), author_vouched_by=("ben",))
    assert tally(given_votes(vouched, "eve")) is ReviewOutcome.APPROVED


def test_only_those_whose_approval_counts_are_listed() -> None:
    voters = Electorate(grants=TEAM, workflow="flights")
    review = replace(asks("leads"), author="cleo", author_vouched_by=("ben",))
    listed, why = voters.notes(state_of(review))
    assert listed == "leads: ana"
    assert why == (
        "ben's approval doesn't count: cleo, who asked for the change, and ben may be one person, because "
        "one made the token of the other"
    )
    every = replace(review, author_may_approve=True)
    assert voters.notes(state_of(every)) == ("leads: ana, ben, cleo",)


def test_a_review_that_nobody_can_approve_can_be_rejected() -> None:
    everyone = Grants(grants=(Grant(who="*", role=Role.ADMIN),))
    gone = asks("leads", people=3)
    assert Electorate(grants=STAFF, workflow="flights").notes(state_of(asks("gone", people=3)))[
        0
    ] == (
        "gone: nobody is left who could be the third to approve, so that an admin may do so: dan, eve"
    )
    assert (
        "so that every admin may do so"
        in Electorate(grants=everyone, workflow="flights").notes(state_of(gone))[0]
    )
    # The only admin asked for the change.
    own = replace(asks("gone"), author="root")
    voters = Electorate(grants=TEAM, workflow="flights")
    assert voters.notes(state_of(own)) == (
        "gone: nobody is left who could be the first to approve, and no admin can: give others a role in "
        "the settings, or reject the change",
    )
    with pytest.raises(AccessError, match="root asked for the change"):
        capacity(own, "root")
    assert capacity(own, "root", Choice.REJECT) == ()
    # Somebody else's: the admin isn't asked, and may end it all the same.
    held = replace(asks("gone"), author_vouched_by=("root",))
    assert capacity(held, "root", Choice.REJECT) == ()
    nobody = Electorate(grants=EVERYBODY, workflow="flights")
    assert nobody.notes(state_of(asks("ana"))) == (
        "ana: nobody is left who could be the first to approve: ask others, or reject the change",
    )


def test_people_whom_a_provider_knows_may_decide() -> None:
    grants = replace(STAFF, has_logins=True)
    voters = Electorate(grants=grants, workflow="flights")
    review = asks("leads", people=3)
    # Who else belongs to the group isn't known, so that nobody stands in.
    assert voters.voters(["leads"]) is voters.voters([REVIEWERS]) is None
    assert voters.notes(state_of(review)) == ()
    with pytest.raises(AccessError, match="fay isn't asked"):
        capacity(review, "fay", grants=grants)
    joined = grants.with_member("fay", frozenset(("leads",)))
    assert capacity(review, "fay", grants=joined) == ("leads",)
    with pytest.raises(AccessError, match="dan isn't asked"):
        capacity(review, "dan", grants=grants)
    assert capacity(review, "dan", Choice.REJECT, grants=grants) == ()
    some = Grants(
        grants=(Grant(who="@leads", role=Role.ADMIN),), groups=STAFF.groups, has_logins=True
    )
    assert (
        "so that every admin may do so"
        in Electorate(grants=some, workflow="flights").notes(state_of(asks("gone")))[0]
    )


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
    assert asked_text(state) == "2 of leads or eve; and the reviewers"
    assert missing_text(state) == (
        "0 of 2 approvals of leads or eve; 0 of 1 approval of role:reviewer"
    )
    extended = ReviewExtended(environment=PROD, review="r1", expires=5.0, escalated_to=(ADMINS,))
    assert asked_text(state_of(asks("eve", author_may=True), extended)) == "eve or the admins"


def test_the_author_does_not_approve_in_another_name() -> None:
    review = asks()
    assert capacity(review, "ben", vouched_by=("root",)) == (REVIEWERS,)
    with pytest.raises(
        AccessError,
        match=r"ana, who asked for the change, and ben may be one .*; ben can approve with a token or a",
    ):
        capacity(review, "ben", vouched_by=("root", "ana"))
    held = replace(review, author_vouched_by=("ben",))
    with pytest.raises(AccessError, match="may be one person"):
        capacity(held, "ben")
    assert capacity(held, "ben", Choice.REJECT) == (REVIEWERS,)
    assert capacity(asks(author_may=True), "ben", vouched_by=("ana",)) == (REVIEWERS,)
