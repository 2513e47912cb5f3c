"""Votes in reviews: who may vote, in which capacity, and what a vote ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tidemill.core.counts import plural
from tidemill.core.errors import AccessError, GateError, UsageError
from tidemill.governance.review_state import ReviewState, approvers, may_be_author, tally
from tidemill.governance.roles import EVERYBODY, Grants, Role, parse_role
from tidemill.ledger.event import Event, ReviewClosed, Voted
from tidemill.ledger.review import Choice, Quorum, ReviewOutcome, Vote

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
        """The people who are asked and may decide; None if that is everybody."""
        found: set[str] = set()
        for name in asked:
            if name.startswith(_ROLE):
                least = max(Role.REVIEWER, _role(name))
                found.update(self.grants.holders(least, self.workflow))
            else:
                found.update(filter(self._exists, self.grants.people(name)))
        return None if EVERYBODY in found else frozenset(found)

    def capacities(self, person: str, state: ReviewState) -> tuple[str, ...]:
        """Those of the asked that a person counts as; admins count where there are too few others."""
        if not self.may(person):
            return ()
        own = [name for name in state.asked if self._is(person, name)]
        for quorum in state.quorums:
            if self.lacks_people(state, quorum) and self.may(person, Role.ADMIN):
                own.append(quorum.asked[0])
        return tuple(dict.fromkeys(own))

    def lacks_people(self, state: ReviewState, quorum: Quorum) -> bool:
        """Whether fewer people can approve than a quorum needs, so that admins stand in."""
        voters = self.voters(quorum.asked)
        if voters is None:
            return False
        counted = set(voters) | set(approvers(state, quorum))
        if not state.review.author_may_approve:
            counted.discard(state.review.author)
        return len(counted) < quorum.people

    def notes(self, state: ReviewState) -> tuple[str, ...]:
        """Who belongs to those who are asked, and where admins may decide in their place."""
        members = tuple(
            f"{_person_text(name)}: {', '.join(sorted(people))}"
            for name in state.asked
            if (people := self.voters([name])) and people != {name}
        )
        return members + tuple(
            f"{' or '.join(map(_person_text, quorum.asked))}: nobody is left who could be the "
            f"{_ordinal(quorum.people)} to approve, so that admins may decide, too"
            for quorum in state.quorums
            if self.lacks_people(state, quorum)
        )

    def _is(self, person: str, name: str) -> bool:
        if name.startswith(_ROLE):
            return self.may(person, _role(name))
        return person in self.grants.people(name)

    def _exists(self, person: str) -> bool:
        return not self.grants.are_declared or self.may(person)


def _role(name: str) -> Role:
    try:
        return parse_role(name.removeprefix(_ROLE))
    except ValueError as error:
        raise UsageError(f"a review asks {name!r}: {error}") from error


def _ordinal(people: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(people, f"{people}th")


def require_vote(
    state: ReviewState, electorate: Electorate, vote: Vote, now: float
) -> tuple[str, ...]:
    """Return the capacity in which a person may vote so now.

    Raises GateError for a review that ended or whose time is over, AccessError for a person who isn't asked,
    or whose approval doesn't count because of being the author. An author may always withdraw.
    """
    review, person, choice = state.review, vote.actor, vote.choice
    require_open(state)
    if state.has_expired(now):
        assert state.expires is not None
        raise GateError(
            f"review {review.id} expired at {_moment(state.expires)}: a vote comes too late; "
            f"`{again_command(state)}` asks again"
        )
    is_author = person == review.author
    if choice is Choice.APPROVE and is_author and not review.author_may_approve:
        raise AccessError(
            f"{person} asked for the change in review {review.id} and doesn't approve it: "
            f"asked are {asked_text(state)}"
        )
    if choice is Choice.APPROVE and not review.author_may_approve and may_be_author(review, vote):
        raise AccessError(
            f"{person}'s approval doesn't count in review {review.id}: {review.author}, who asked for the "
            f"change, and {person} may be one person, because one made the token of the other"
        )
    found = electorate.capacities(person, state)
    if not found and not (is_author and choice is Choice.REJECT):
        why = (
            ""
            if electorate.may(person)
            else f", and has no role that may decide in {electorate.workflow}"
        )
        raise AccessError(
            f"{person} isn't asked in review {review.id}{why}: asked are {asked_text(state)}"
        )
    return found


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
        parts.append(people + " or ".join(map(_person_text, quorum.asked)))
    but = (
        ""
        if state.review.author_may_approve or not state.review.author
        else (f" (not {state.review.author}, who asked for the change)")
    )
    return "; and ".join(parts) + but


def _person_text(name: str) -> str:
    return f"every {name.removeprefix(_ROLE)}" if name.startswith(_ROLE) else name


def ending_text(state: ReviewState) -> str:
    """How a review ended, by whom, when and why."""
    assert state.outcome is not None
    by = f" by {state.closed_by}" if state.closed_by else ""
    at = f" on {_moment(state.closed)}" if state.closed is not None else ""
    why = f": {state.reason}" if state.reason else ""
    what = _ENDINGS.get(state.outcome, f"was {state.outcome}")
    return f"review {state.review.id} {what}{by}{at}{why}"


def missing_text(state: ReviewState) -> str:
    """How many approvals a review has, and needs."""
    parts = []
    for quorum in state.quorums:
        names = approvers(state, quorum)
        have = f" ({', '.join(names)})" if names else ""
        of = "" if len(state.quorums) == 1 else f" of {' or '.join(quorum.asked)}"
        parts.append(f"{len(names)} of {plural(quorum.people, 'approval')}{of}{have}")
    return "; ".join(parts)


def again_command(state: ReviewState) -> str:
    """The command that asks people once more about the change."""
    return (
        f"tidemill run {state.review.name} --again"
        if state.review.artifact
        else "tidemill run --again"
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
