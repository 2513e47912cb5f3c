"""Count votes: which approvals are of one person, and that approvals need as many persons as asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import AccessError
from tidemill.governance.review_state import ReviewState, fold_reviews, timeout_events
from tidemill.governance.review_tally import approvers, may_be_author, tally
from tidemill.governance.review_vote import Electorate, require_vote
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.governance_events import ReviewExtended, ReviewOpened, Voted
from tidemill.ledger.review import (
    REVIEWERS,
    Choice,
    Quorum,
    Review,
    ReviewOutcome,
    TimeoutAction,
    Vote,
)
from tidemill.testing import records as samples
from tidemill.testing.records import PROD


def state_of(*events: Voted | ReviewExtended, review: Review | None = None) -> ReviewState:
    facts = [ReviewOpened(environment=PROD, review=review or samples.review()), *events]
    recorded = [RecordedEvent(seq=n, at=100.0 + n, event=e) for n, e in enumerate(facts, 1)]
    return fold_reviews(recorded, PROD)["r1"]


def voted(actor: str, choice: Choice = Choice.APPROVE, *groups: str) -> Voted:
    vote = replace(samples.vote(actor, choice), counts_as=groups or (REVIEWERS,))
    return Voted(environment=PROD, review="r1", vote=vote)


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([], None),
        ([voted("ben")], None),
        ([voted("ben"), voted("ben")], None),  # twice the same person
        ([voted("ben"), voted("cleo")], ReviewOutcome.APPROVED),
        ([voted("ben"), voted("ana")], None),  # the author doesn't count
        ([voted("ben"), voted("cleo", Choice.APPROVE, "others")], None),
        ([voted("ben"), voted("cleo", Choice.REJECT)], ReviewOutcome.REJECTED),
        ([voted("ben", Choice.CHANGES)], ReviewOutcome.CHANGES_ASKED),
        ([voted("ben", Choice.REJECT), voted("ben"), voted("cleo")], ReviewOutcome.APPROVED),
    ],
)
def test_votes_are_counted(events: list[Voted], outcome: ReviewOutcome | None) -> None:
    assert tally(state_of(*events)) is outcome


def test_an_author_withdraws_without_being_asked() -> None:
    vote = replace(samples.vote("ana", Choice.REJECT), counts_as=())
    state = state_of(Voted(environment=PROD, review="r1", vote=vote))
    assert tally(state) is ReviewOutcome.WITHDRAWN
    assert approvers(state, 0) == ()


def test_each_quorum_needs_its_own_people() -> None:
    quorums = (Quorum(asked=("leads",)), Quorum(asked=("privacy",)))
    review = replace(samples.review(), quorums=quorums)
    state = state_of(
        voted("ben", Choice.APPROVE, "leads"), voted("eve", Choice.APPROVE, "leads"), review=review
    )
    assert tally(state) is None
    assert approvers(state, 0) == ("ben", "eve")
    both = state_of(voted("ben", Choice.APPROVE, "leads", "privacy"), review=review)
    assert tally(both) is ReviewOutcome.APPROVED


def test_an_escalation_leaves_those_whom_a_rule_demands() -> None:
    quorums = (Quorum(asked=("privacy",), people=2, fixed=True), Quorum(asked=("ops",)))
    review = replace(
        samples.review(), quorums=quorums, on_timeout=TimeoutAction.ESCALATE, escalate_to=("head",)
    )
    (extended,) = timeout_events(state_of(review=review), 1000.0)
    assert isinstance(extended, ReviewExtended)
    state = state_of(extended, review=review)
    assert [quorum.asked for quorum in state.quorums] == [("privacy",), ("ops", "head")]
    heads = voted("hal", Choice.APPROVE, "head"), voted("hanna", Choice.APPROVE, "head")
    assert tally(state_of(extended, *heads, review=review)) is None


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
        state = state_of(*(Voted(environment=PROD, review="r1", vote=vote) for vote in votes))
        assert len(approvers(state, 0)) == people


# Ana asks for the change in most cases; nobody has the name "gone".
PEOPLE = ("ana", "ben", "cleo", "dan", "eve", "fay")
names = st.sampled_from(PEOPLE)
asked_names = st.sampled_from((*PEOPLE, "gone", "@one", "@two", "role:reviewer", "role:admin"))
groups = st.frozensets(names, min_size=1, max_size=3)
# Who made the token of whom.
makers = st.dictionaries(names, st.tuples(names), max_size=3)


@st.composite
def electorates(draw: st.DrawFn) -> Electorate:
    roles = draw(st.dictionaries(names, st.sampled_from(Role), min_size=1))
    admin = draw(names)
    grants = [Grant(who=who, role=role) for who, role in roles.items()]
    return Electorate(
        grants=Grants(
            grants=(*grants, Grant(who=admin, role=Role.ADMIN)),
            groups={"one": draw(groups), "two": draw(groups)},
        ),
        workflow="flights",
    )


@st.composite
def reviews(draw: st.DrawFn) -> ReviewState:
    asked = draw(st.lists(st.tuples(asked_names), min_size=1, max_size=3, unique=True))
    quorums = tuple(Quorum(asked=each, people=draw(st.integers(1, 3))) for each in asked)
    review = replace(
        samples.review(),
        quorums=quorums,
        author=draw(names),
        author_may_approve=draw(st.booleans()),
        author_vouched_by=draw(st.just(()) | st.tuples(names)),
    )
    return state_of(review=review)


@dataclass(frozen=True)
class Room:
    """A review, and those who can vote in it."""

    electorate: Electorate
    makers: Mapping[str, tuple[str, ...]]

    def vote(self, state: ReviewState, person: str, choice: Choice) -> ReviewState | None:
        """The review after a vote; None if it is refused."""
        vote = Vote(
            actor=person,
            choice=choice,
            reason="seen",
            at=150.0,
            vouched_by=self.makers.get(person, ()),
        )
        try:
            return state.voted(require_vote(state, self.electorate, vote, 150.0))
        except AccessError:
            return None

    def approve(self, state: ReviewState, people: Iterable[str]) -> ReviewState:
        """The review after approvals in this order, until it is approved."""
        for person in people:
            given = self.vote(state, person, Choice.APPROVE)
            state = given or state
            if tally(state) is not None:
                break
        return state


def separate(votes: Iterable[Vote]) -> int:
    """How many persons have certainly voted, found in another way: the largest set without any pair."""
    known = [*votes]
    sizes = (
        size
        for size in range(len(known), 0, -1)
        for some in combinations(known, size)
        if not any(
            a.actor in b.vouched_by or b.actor in a.vouched_by for a, b in permutations(some, 2)
        )
    )
    return next(sizes, 0)


@given(electorates(), reviews(), makers, st.lists(names, max_size=10))
def test_an_approval_needs_as_many_persons_as_the_largest_quorum(
    electorate: Electorate, state: ReviewState, makers: dict[str, tuple[str, ...]], order: list[str]
) -> None:
    done = Room(electorate, makers).approve(state, order)
    if tally(done) is None:
        return
    review = done.review
    votes = [
        vote for vote in done.votes if review.author_may_approve or not may_be_author(review, vote)
    ]
    assert separate(votes) >= review.people
    for number, quorum in enumerate(done.quorums):
        members = [vote for vote in votes if {*vote.counts_as} & {*quorum.asked}]
        stand_ins = [vote for vote in votes if vote.stands_in == number]
        assert separate([*members, *stand_ins]) >= quorum.people
        assert all(electorate.may(vote.actor, Role.ADMIN) for vote in stand_ins)
    # Whoever stands in is one more person than those who count elsewhere.
    places = {n: approvers(done, n) for n in range(len(done.quorums))}
    for vote in votes:
        if vote.stands_in is not None:
            assert sum(vote.actor in people for people in places.values()) <= 1


@given(electorates(), reviews(), makers, st.permutations(PEOPLE))
def test_no_review_is_without_an_end(
    electorate: Electorate, state: ReviewState, makers: dict[str, tuple[str, ...]], order: list[str]
) -> None:
    room = Room(electorate, makers)
    for person in order:
        state = room.approve(state, [person])
        if tally(state) is not None:
            return
        assert any(room.vote(state, each, Choice.REJECT) for each in PEOPLE)


@given(electorates(), reviews(), st.permutations(PEOPLE))
def test_a_review_that_everybody_approves_is_approved_or_says_who_is_missing(
    electorate: Electorate, state: ReviewState, order: list[str]
) -> None:
    done = Room(electorate, {}).approve(state, order * 3)
    if tally(done) is None:
        missing = [n for n, q in enumerate(done.quorums) if len(approvers(done, n)) < q.people]
        assert all(electorate.lacks_people(done, number) for number in missing)
        assert not any(electorate.helpers(done, number) for number in missing)
        assert any("nobody is left" in note for note in electorate.notes(done))
