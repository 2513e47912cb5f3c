"""Votes in reviews: who may vote, in which capacity, and what a vote ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from tidemill.core.counts import plural
from tidemill.core.errors import AccessError, GateError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.again_command import again_command
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_tally import approvers, may_be_author, tally
from tidemill.governance.roles import EVERYBODY, Grants, Role, parse_role
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, Voted
from tidemill.ledger.review import Choice, ReviewOutcome, Vote

_ROLE = "role:"
_ENDINGS = {
    ReviewOutcome.EXPIRED: "expired",
    ReviewOutcome.CHANGES_ASKED: "ended with changes that were asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Electorate:
    """Who may decide in a workflow: people of the `grants`.

    Without declared roles everybody is an admin, and whoever is named may decide: who acts over a network or
    on another machine needn't be known here.
    """

    grants: Grants
    workflow: str

    def may(self, person: str, role: Role = Role.REVIEWER) -> bool:
        """Whether a person has at least a role."""
        return self.grants.may(role, person, self.workflow)

    def voters(self, asked: Iterable[str]) -> frozenset[str] | None:
        """The people who are asked and may decide; None if that is everybody, or not all are known."""
        found: set[str] = set()
        for name in asked:
            if name.startswith(_ROLE):
                least = max(Role.REVIEWER, _role(name))
                found.update(self.grants.holders(least, self.workflow))
            else:
                found.update(filter(self._exists, self.grants.listed(name)))
        return None if any(map(_is_open, found)) else frozenset(found)

    def capacities(self, person: str, state: ReviewState) -> tuple[str, ...]:
        """Those of the asked that a person is, or belongs to."""
        if not self.may(person):
            return ()
        return tuple(name for name in state.asked if self._is(person, name))

    def stand_in(self, vote: Vote, state: ReviewState) -> int | None:
        """The quorum in which an admin's approval counts in place of a missing member; None if in none.

        It is one that nobody else can complete. Who belongs to another quorum that isn't met counts there.
        """
        others = state.without(vote.actor)
        lacking = [n for n in range(len(state.quorums)) if self.lacks_people(others, n)]
        return next((n for n in lacking if self._can_stand_in(vote, others, n)), None)

    def may_end(self, person: str, state: ReviewState) -> bool:
        """Whether a person who isn't asked may reject: admins do where people are missing, or may be."""
        return self._is_admin(person) and any(
            self.voters(quorum.asked) is None or self.lacks_people(state, number)
            for number, quorum in enumerate(state.quorums)
        )

    def lacks_people(self, state: ReviewState, number: int) -> bool:
        """Whether fewer persons can still approve than a quorum needs, counted as their votes would be."""
        quorum = state.quorums[number]
        voters = self.voters(quorum.asked)
        if voters is None:
            return False
        voted = {
            vote.actor for vote in state.votes if not {*vote.counts_as}.isdisjoint(quorum.asked)
        }
        for person in sorted(voters - voted):
            state = state.voted(replace(_approval(person), counts_as=quorum.asked))
        return len(approvers(state, number)) < quorum.people

    def helpers(self, state: ReviewState, number: int) -> tuple[str, ...]:
        """The admins who can stand in for a missing member of a quorum; `*` if not all are known."""
        standing = {vote.actor for vote in state.votes if vote.stands_in is not None}
        admins = self.grants.holders(Role.ADMIN, self.workflow) if self.grants.are_declared else ()
        if any(map(_is_open, admins)):
            return (EVERYBODY,)
        return tuple(
            person
            for person in admins
            if person not in standing
            and self._can_stand_in(_approval(person), state.without(person), number)
        )

    def notes(self, state: ReviewState) -> tuple[str, ...]:
        """Who of those who are asked can approve, whose approval wouldn't count, and who can help."""
        found = {name: self.voters([name]) or frozenset() for name in state.asked}
        excluded = {
            person for people in found.values() for person in people if _is_author(person, state)
        }
        members = tuple(
            f"{person_text(name)}: {', '.join(sorted(people - excluded))}"
            for name, people in found.items()
            if people != {name} and people - excluded
        )
        author = state.review.author
        namesakes = tuple(
            f"{person}'s approval doesn't count: {author}, who asked for the change, and {person} may be "
            "one person, because one made the token of the other"
            for person in sorted(excluded - {author})
        )
        lacking = tuple(
            f"{' or '.join(map(person_text, quorum.asked))}: nobody is left who could be the "
            f"{_ordinal(quorum.people)} to approve{self._help(state, number)}"
            for number, quorum in enumerate(state.quorums)
            if self.lacks_people(state, number)
        )
        return members + namesakes + lacking

    def _help(self, state: ReviewState, number: int) -> str:
        helpers = self.helpers(state, number)
        if EVERYBODY in helpers:
            return ", so that every admin may do so"
        if helpers:
            return f", so that an admin may do so: {', '.join(helpers)}"
        if self.grants.are_declared:
            return ", and no admin can: give others a role in the settings, or reject the change"
        return ": ask others, or reject the change"

    def _can_stand_in(self, vote: Vote, others: ReviewState, number: int) -> bool:
        """Whether an approval counts in a quorum as that of an admin, beside the votes of others."""
        groups = self.capacities(vote.actor, others)
        for own, quorum in enumerate(others.quorums):
            is_met = len(approvers(others, own)) >= quorum.people
            if not is_met and not {*groups}.isdisjoint(quorum.asked):
                return False
        given = others.voted(replace(vote, counts_as=(), stands_in=number))
        gained = len(approvers(given, number)) > len(approvers(others, number))
        return gained and self._is_admin(vote.actor)

    def _is_admin(self, person: str) -> bool:
        # Without declared roles everybody is one, so that an approval would be anybody's.
        return self.grants.are_declared and self.may(person, Role.ADMIN)

    def _is(self, person: str, name: str) -> bool:
        if name.startswith(_ROLE):
            return self.may(person, _role(name))
        return person in self.grants.people(name)

    def _exists(self, person: str) -> bool:
        return not self.grants.are_declared or _is_open(person) or self.may(person)


def _is_author(person: str, state: ReviewState) -> bool:
    """Whether the approval of a person can't count, whatever token it is given with."""
    review = state.review
    return not review.author_may_approve and may_be_author(review, _approval(person))


def _is_open(name: str) -> bool:
    """Whether a name of a list of people stands for others who aren't known: everybody, or a group."""
    return name == EVERYBODY or name.startswith("@")


def _approval(person: str) -> Vote:
    return Vote(actor=person, choice=Choice.APPROVE, reason="", at=0.0)


def _role(name: str) -> Role:
    try:
        return parse_role(name.removeprefix(_ROLE))
    except ValueError as error:
        raise UsageError(f"a review asks {name!r}: {error}") from error


def _ordinal(people: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(people, f"{people}th")


def require_vote(state: ReviewState, electorate: Electorate, vote: Vote, now: float) -> Vote:
    """Return a vote with the capacity in which the person may give it now.

    Raises GateError for a review that ended or whose time is over, AccessError for a person who isn't asked,
    or whose approval doesn't count because of being the author. An author may always withdraw.
    """
    review, person = state.review, vote.actor
    require_open(state)
    if state.has_expired(now):
        assert state.expires is not None
        raise GateError(
            f"review {review.id} expired at {_moment(state.expires)}: a vote comes too late; "
            f"`{again_command(review, state.environment, review.source)}` asks again"
        )
    if vote.choice is Choice.APPROVE:
        _require_other_than_author(state, vote)
        number = electorate.stand_in(vote, state)
        if number is not None:
            return replace(vote, counts_as=(), stands_in=number)
    found = electorate.capacities(person, state)
    withdraws = person == review.author and vote.choice is Choice.REJECT
    ends = vote.choice is not Choice.APPROVE and electorate.may_end(person, state)
    if not found and not withdraws and not ends:
        why = (
            ""
            if electorate.may(person)
            else f", and has no role that may decide in {electorate.workflow}"
        )
        raise AccessError(
            f"{person} isn't asked in review {review.id}{why}: asked are {asked_text(state)}"
        )
    return replace(vote, counts_as=found)


def _require_other_than_author(state: ReviewState, vote: Vote) -> None:
    """Raise AccessError for an approval of who asked for the change, or may be the same person."""
    review, person = state.review, vote.actor
    if review.author_may_approve:
        return
    if person == review.author:
        raise AccessError(
            f"{person} asked for the change in review {review.id} and doesn't approve it: "
            f"asked are {asked_text(state)}"
        )
    if may_be_author(review, vote):
        advice = (
            f"; {person} can approve with a token or a login that somebody else made or keeps"
            if review.author in vote.vouched_by
            else ""
        )
        raise AccessError(
            f"{person}'s approval doesn't count in review {review.id}: {review.author}, who asked for the "
            f"change, and {person} may be one person, because one made the token or keeps the login of the "
            f"other{advice}"
        )


def require_open(state: ReviewState) -> None:
    """Raise GateError with what ended a review that isn't open any more."""
    if not state.is_open:
        raise GateError(f"{ending_text(state)}; nothing was recorded")


def voting_events(state: ReviewState, vote: Vote) -> tuple[ReviewOutcome | None, tuple[Event, ...]]:
    """Return the outcome that a review has with a vote, None while it is open, and the events of the vote."""
    voted = Voted(environment=state.environment, review=state.review.id, vote=vote)
    outcome = tally(state.voted(vote))
    if outcome is None:
        return None, (voted,)
    closed = ReviewClosed(
        environment=state.environment,
        review=state.review.id,
        outcome=outcome,
        reason=vote.reason,
        actor=vote.actor,
    )
    return outcome, (voted, closed)


def asked_text(state: ReviewState) -> str:
    """Who is asked, and how many of them."""
    parts = []
    for quorum in state.quorums:
        people = f"{quorum.people} of " if quorum.people > 1 else ""
        parts.append(people + " or ".join(map(person_text, quorum.asked)))
    but = (
        ""
        if state.review.author_may_approve or not state.review.author
        else (f" (not {state.review.author}, who asked for the change)")
    )
    return "; and ".join(parts) + but


def person_text(name: str) -> str:
    """Whoever is asked by a name: `role:admin` are the admins."""
    return f"the {name.removeprefix(_ROLE)}s" if name.startswith(_ROLE) else name


def ending_text(state: ReviewState) -> str:
    """How a review ended, by whom, when and why."""
    assert state.outcome is not None
    by = f" by {people}" if (people := ended_by(state)) else ""
    at = f" on {_moment(state.closed)}" if state.closed is not None else ""
    why = f": {state.reason}" if state.reason else ""
    what = _ENDINGS.get(state.outcome, f"was {state.outcome}")
    return f"review {state.review.id} {what}{by}{at}{why}"


def ended_by(state: ReviewState) -> str:
    """Who ended a review: everybody who approved, or whoever decided against it; "" for nobody."""
    if state.outcome is not ReviewOutcome.APPROVED:
        return state.closed_by
    people = (vote.actor for vote in state.votes if vote.choice is Choice.APPROVE)
    return ", ".join(dict.fromkeys(people)) or state.closed_by


def missing_text(state: ReviewState) -> str:
    """How many approvals a review has, and needs."""
    parts = []
    for number, quorum in enumerate(state.quorums):
        names = approvers(state, number)
        have = f" ({', '.join(names)})" if names else ""
        of = "" if len(state.quorums) == 1 else f" of {' or '.join(quorum.asked)}"
        parts.append(f"{len(names)} of {plural(quorum.people, 'approval')}{of}{have}")
    return "; ".join(parts)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M %Z")
