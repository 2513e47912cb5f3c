"""Count the votes of a review: how many persons approve for whom, and which outcome that has.

Names that may be one person count as one: the holder of a token and whoever made it.
"""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.review_state import ReviewState
from tidemill.ledger.review import Choice, Review, ReviewOutcome, Vote


def tally(state: ReviewState) -> ReviewOutcome | None:
    """The outcome that the votes have; None while people are missing.

    One rejection or request for changes ends a review. Approvals count for the groups that their people
    belonged to when they voted, so that it doesn't matter who left since.
    """
    review = state.review
    for vote in state.votes:
        if vote.choice is Choice.REJECT:
            is_own = vote.actor == review.author and not vote.counts_as
            return ReviewOutcome.WITHDRAWN if is_own else ReviewOutcome.REJECTED
        if vote.choice is Choice.CHANGES:
            return ReviewOutcome.CHANGES_ASKED
    met = all(
        len(approvers(state, number)) >= quorum.people
        for number, quorum in enumerate(state.quorums)
    )
    return ReviewOutcome.APPROVED if met else None


def approvers(state: ReviewState, number: int) -> tuple[str, ...]:
    """The persons whose approvals count in a quorum, counted from 0; each by one of its names.

    Who belongs to the groups of several quorums counts in each. Who stands in counts in that quorum alone,
    and only if the same person counts in no other.
    """
    persons = _persons(state)
    return tuple(person.votes[0].actor for person in persons if number in person.seats(state))


def may_be_author(review: Review, vote: Vote) -> bool:
    """Whether who voted asked for the change, or has or made a token of who did, or keeps a login."""
    author = Vote(
        actor=review.author,
        choice=vote.choice,
        reason="",
        at=vote.at,
        vouched_by=review.author_vouched_by,
    )
    return vote.actor == review.author or _may_be_one(vote, author)


@dataclass(frozen=True, slots=True)
class _Person:
    """The approvals that one person may have given under several names."""

    votes: tuple[Vote, ...]

    def seats(self, state: ReviewState) -> frozenset[int]:
        """The quorums in which the person counts."""
        groups = {name for vote in self.votes for name in vote.counts_as}
        own = {n for n, quorum in enumerate(state.quorums) if groups.intersection(quorum.asked)}
        taken = [vote.stands_in for vote in self.votes if vote.stands_in is not None]
        return frozenset(own or taken[:1])


def _persons(state: ReviewState) -> tuple[_Person, ...]:
    """Everybody who approved and whose approval counts, in the order of their first votes."""
    review, persons = state.review, list[_Person]()
    for vote in state.votes:
        if vote.choice is not Choice.APPROVE:
            continue
        if not review.author_may_approve and may_be_author(review, vote):
            continue
        same = [one for one in persons if any(_may_be_one(vote, known) for known in one.votes)]
        others = [one for one in persons if one not in same]
        persons = [*others, _Person((*(known for one in same for known in one.votes), vote))]
    return tuple(persons)


def _may_be_one(vote: Vote, other: Vote) -> bool:
    """Whether one of two people made the token or keeps the login of the other: one may have voted twice."""
    return vote.actor in other.vouched_by or other.actor in vote.vouched_by
