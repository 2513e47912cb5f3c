"""Reviews of changes: what opens and ends them, and who may decide.

The state of a review follows from its events alone. A review that ended stays so, whatever the clock says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Decision
from tidemill.ledger.event import EnvironmentDropped, Event, RecordedEvent
from tidemill.ledger.governance_events import (
    NoticeSent,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    Voted,
)
from tidemill.ledger.policy import PolicyDecision, SubjectKind
from tidemill.ledger.review import (
    ADMINS,
    REVIEWERS,
    HeldRows,
    Quorum,
    Review,
    ReviewOutcome,
    TimeoutAction,
    Vote,
)
from tidemill.workflow.review import ReviewTerms

# The kinds of events that the state of reviews follows from, and those, also of waivers, that a decision must
# have seen all of.
REVIEW_EVENTS = (
    "ReviewOpened", "ReviewPageStored", "Voted", "ReviewExtended", "ReviewClosed", "NoticeSent",
    "EnvironmentDropped",
)  # fmt: skip
DECIDING_EVENTS = (
    "ReviewOpened", "Voted", "ReviewExtended", "ReviewClosed", "Waived", "WaiverEnded",
)  # fmt: skip


# The kind, the name and the part of what people are asked about.
ReviewPlace: TypeAlias = tuple[SubjectKind, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewState:
    """A review with what happened in it so far; `outcome` is None while it is open.

    `votes` has the last one of each person. `expires` is when the time that people have now ends, if ever.
    `escalated_to` may decide beside those who were asked first. `events` are those that made it so; notices
    about some of them (by number) were `sent` to channels.
    """

    review: Review
    environment: str
    votes: tuple[Vote, ...] = ()
    outcome: ReviewOutcome | None = None
    reason: str = ""
    closed_by: str = ""
    closed: float | None = None
    expires: float | None = None
    escalated_to: tuple[str, ...] = ()
    extensions: int = 0
    page: str = ""
    touched: float = 0.0
    events: tuple[RecordedEvent, ...] = ()
    sent: frozenset[tuple[int, str]] = frozenset()

    def _repr_html_(self) -> str:
        """Render what people are asked and what they said so far, for notebooks."""
        html: str = import_module("tidemill.governance.review_notebook").review_html(self)
        return html

    @property
    def is_open(self) -> bool:
        """Whether people may still decide."""
        return self.outcome is None

    @property
    def place(self) -> ReviewPlace:
        """The kind, the name and the part of what is decided on, of which one review is open at a time."""
        return self.review.kind, self.review.name, self.review.part

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """Whose approval is needed now: those who were escalated to count in each that isn't fixed."""
        return tuple(
            quorum if quorum.fixed else replace(quorum, asked=(*quorum.asked, *self.escalated_to))
            for quorum in self.review.quorums
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """Everybody who may decide now."""
        return tuple(dict.fromkeys((*self.review.asked, *self.escalated_to)))

    def voted(self, vote: Vote) -> ReviewState:
        """The review with a vote more, in place of an earlier one of the same person."""
        return replace(self, votes=(*self.without(vote.actor).votes, vote))

    def without(self, person: str) -> ReviewState:
        """The review without the vote of a person."""
        return replace(self, votes=tuple(vote for vote in self.votes if vote.actor != person))

    def has_expired(self, now: float) -> bool:
        """Whether the time to decide is over, by the clock or by what was recorded already."""
        return self.is_open and self.expires is not None and self.moment(now) >= self.expires

    def moment(self, now: float) -> float:
        """The time of an event in this review: never before an earlier one, if a clock was set back."""
        return max(now, self.touched)


class _ReviewSoFar:
    """A review while its events are read: a long history is read faster than by copies of states."""

    def __init__(self, opened: ReviewOpened) -> None:
        review = opened.review
        self.environment = opened.environment
        self.fields: dict[str, Any] = {"review": review, "environment": opened.environment}
        self.expires = None if review.within is None else review.opened + review.within
        self.touched = review.opened
        self.votes: dict[str, Vote] = {}
        self.escalated: dict[str, None] = {}
        self.extensions = 0
        self.events: list[RecordedEvent] = []
        self.sent: set[tuple[int, str]] = set()

    def apply(self, fact: RecordedEvent) -> None:
        """Note an event of the review; after its end only notices and pages change anything."""
        event = fact.event
        if isinstance(event, NoticeSent):
            self.sent.add((event.about, event.channel))
        elif isinstance(event, ReviewPageStored):
            self.fields["page"] = event.page
        elif "outcome" not in self.fields:
            self.events.append(fact)
            self.touched = max(self.touched, fact.at)
            self._decide(event, fact.at)

    def _decide(self, event: Event, at: float) -> None:
        if isinstance(event, Voted):
            # The last vote of a person counts, in the place of the last one.
            self.votes.pop(event.vote.actor, None)
            self.votes[event.vote.actor] = event.vote
        elif isinstance(event, ReviewExtended):
            self.expires = event.expires
            self.escalated.update(dict.fromkeys(event.escalated_to))
            self.extensions += 1
        elif isinstance(event, ReviewClosed):
            end = {"outcome": event.outcome, "reason": event.reason, "closed_by": event.actor}
            self.fields.update(end, closed=at)

    def state(self) -> ReviewState:
        """What the review has become."""
        return ReviewState(
            **self.fields,
            votes=tuple(self.votes.values()),
            expires=self.expires,
            escalated_to=tuple(self.escalated),
            extensions=self.extensions,
            touched=self.touched,
            events=tuple(self.events),
            sent=frozenset(self.sent),
        )


def fold_reviews(facts: Iterable[RecordedEvent], environment: str) -> dict[str, ReviewState]:
    """Return the reviews of an environment by id, in the order in which they were opened."""
    found: dict[str, _ReviewSoFar] = {}
    for fact in facts:
        event = fact.event
        if getattr(event, "environment", "") != environment:
            continue
        if isinstance(event, EnvironmentDropped):
            # What people decided there says nothing about a new environment of that name.
            found.clear()
        elif isinstance(event, ReviewOpened):
            found.setdefault(event.review.id, _ReviewSoFar(event)).apply(fact)
        elif (known := found.get(getattr(event, "review", ""))) is not None:
            known.apply(fact)
    return {id: known.state() for id, known in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSubject:
    """What people are asked about: `subject` is the digest of exactly that, `name` its stage or environment.

    `part` says which part of that is meant, if not all. A model has an `artifact`, the `verdict` of its
    gates, and the live artifact that it `replaces`, if any. A release has the rows that are `held`, and
    a table that would be restored the run `as_of` which.
    """

    kind: SubjectKind
    name: str
    subject: str
    reasons: tuple[str, ...] = ()
    artifact: str = ""
    replaces: str = ""
    verdict: Decision | None = None
    part: str = ""
    held: HeldRows | None = None
    as_of: str = ""

    @property
    def place(self) -> ReviewPlace:
        """The kind, the name and the part, of which one review is open at a time."""
        return self.kind, self.name, self.part


def open_review(
    change: ReviewSubject,
    terms: ReviewTerms | None,
    decision: PolicyDecision | None,
    *,
    id: str,
    author: str,
    now: float,
    run: str = "",
) -> Review:
    """Return the review that the terms of a workflow and the decision of the rules ask for.

    Each rule that asks for a review has to be satisfied by people whom it names: its quorum stands beside
    that of the terms. `author` asked for the change, in the run `run` if there was one.
    """
    known = decision.hits if decision is not None else ()
    hits = [hit for hit in known if hit.effect == "review" and not hit.waiver]
    quorums = [
        Quorum(asked=hit.approvers or (REVIEWERS,), people=hit.people, fixed=True) for hit in hits
    ]
    if terms is not None:
        quorums.append(Quorum(asked=terms.by or (REVIEWERS,), people=terms.people))
    given = terms or ReviewTerms()
    ruled = (f"{hit.rule}: {hit.message}" for hit in hits)
    return Review(
        id=id,
        kind=change.kind,
        name=change.name,
        subject=change.subject,
        artifact=change.artifact,
        replaces=change.replaces,
        reasons=tuple(dict.fromkeys((*ruled, *change.reasons))),
        quorums=_simplified(quorums) or (Quorum(),),
        author=author,
        author_may_approve=given.author_may_approve and all(hit.author_may_approve for hit in hits),
        opened=now,
        within=given.within,
        on_timeout=TimeoutAction(given.on_timeout),
        escalate_to=given.escalate_to or (ADMINS,),
        decision=decision.id if decision is not None else "",
        verdict=change.verdict,
        run=run,
        part=change.part,
        held=change.held,
        as_of=change.as_of,
    )


def _simplified(quorums: Iterable[Quorum]) -> tuple[Quorum, ...]:
    """One quorum for each group of people: the one that needs the most of them."""
    found: dict[tuple[str, ...], Quorum] = {}
    for quorum in quorums:
        asked = tuple(dict.fromkeys(quorum.asked))
        known = found.get(asked, Quorum())
        found[asked] = Quorum(
            asked=asked,
            people=max(quorum.people, known.people),
            fixed=quorum.fixed or known.fixed,
        )
    return tuple(found.values())


def standing_review(
    states: Mapping[str, ReviewState], place: ReviewPlace, subject: str
) -> ReviewState | None:
    """Return the last review of exactly this subject; None if people were never asked about it."""
    found = [
        state
        for state in states.values()
        if state.place == place and state.review.subject == subject
    ]
    return found[-1] if found else None


def superseding_events(
    states: Mapping[str, ReviewState], place: ReviewPlace, reason: str
) -> tuple[ReviewClosed, ...]:
    """The events that end the open reviews of a place, because there is something newer."""
    return tuple(
        ReviewClosed(
            environment=state.environment,
            review=state.review.id,
            outcome=ReviewOutcome.SUPERSEDED,
            reason=reason,
        )
        for state in states.values()
        if state.is_open and state.place == place
    )


def timeout_events(state: ReviewState, now: float) -> tuple[Event, ...]:
    """The events due in a review that nobody decided in time; none in any other.

    Its people are reminded as often as it takes. It is escalated once.
    """
    if not state.has_expired(now):
        return ()
    review, moment = state.review, state.moment(now)
    assert review.within is not None, "a review without a limit never expires"
    if review.on_timeout is TimeoutAction.REMIND:
        extended = ReviewExtended(
            environment=state.environment, review=review.id, expires=moment + review.within
        )
        return (extended,)
    if review.on_timeout is TimeoutAction.ESCALATE and not state.escalated_to:
        extended = ReviewExtended(
            environment=state.environment,
            review=review.id,
            expires=moment + review.within,
            escalated_to=review.escalate_to,
        )
        return (extended,)
    closed = ReviewClosed(
        environment=state.environment,
        review=review.id,
        outcome=ReviewOutcome.EXPIRED,
        reason="nobody decided in time",
    )
    return (closed,)
