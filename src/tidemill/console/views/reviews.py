"""What waits for people: the inbox, a review with all that is needed to decide, and their votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.console.personal_values import shown_comparisons, shown_version
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.models import LiveNow, show_live
from tidemill.console.views.score_cards import ScoreCard, score_cards
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.page_values import PageSection
from tidemill.governance.permissions import Permission
from tidemill.governance.review_page import outcome_title, people_lines, question, timeout_text
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import asked_text, ending_text, missing_text
from tidemill.governance.vote_text import voted_text
from tidemill.history.model_comparison import compare_versions
from tidemill.ledger.model_version import MetricComparison, ModelVersion
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Choice, ReviewOutcome, Vote
from tidemill.project.project import Project

_MOST = 100
WHICH = ("open", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLine:
    """A review: the `question`, who is `asked`, the approvals so far, and until when it is open.

    `title` is the question while it is open, then the outcome. `ending` says how it ended, "" while it is
    open. `overtaken` says why an open one about a model can't be approved any more.
    """

    id: str
    kind: SubjectKind
    name: str
    label: str
    artifact: str
    title: str
    question: str
    author: str
    opened: float
    expires: float | None
    asked: str
    approvals: str
    is_open: bool
    outcome: ReviewOutcome | None
    closed: float | None
    ending: str
    overtaken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewsView:
    """The open reviews, the oldest first, and with `which` = all those that ended, the newest first.

    `next` is the `before` of the next page; 0 if there are no more.
    """

    which: str
    open: tuple[ReviewLine, ...]
    ended: tuple[ReviewLine, ...]
    next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredVersion:
    """A version that a review compares, which is live or the candidate, and its newest scores."""

    role: str
    version: str
    scores: tuple[ScoreCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """What is live now of the model of a review, since when, and who may go back to another version."""

    live: LiveNow
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """All that a person needs to decide.

    `sections` are what people were told when they were asked, `people` who may decide, `timeout` what happens
    if nobody does in time. `obstacles` say which choices whoever asks doesn't have, and why. Of a model there
    are the `versions` with their scores as they are recorded now, `comparisons` by metric and slice, and the
    `way_back` from what is live.
    """

    review: ReviewLine
    sections: tuple[PageSection, ...]
    people: tuple[str, ...]
    votes: tuple[Vote, ...]
    timeout: str
    obstacles: Mapping[Choice, str]
    reasons: tuple[str, ...]
    run: str
    versions: tuple[ScoredVersion, ...] = ()
    comparisons: tuple[MetricComparison, ...] = ()
    way_back: WayBack | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteView:
    """What came of a vote, in words; `went_live` is the version that it made live, if it did."""

    told: str
    review: ReviewLine
    vote: Vote
    went_live: str = ""
    problems: tuple[str, ...] = field(default=())


def list_reviews(
    project: Project, which: str = "open", before: int = 0, limit: int = 50
) -> ReviewsView:
    """List the open reviews, and with `which` = all also those that ended.

    The open ones are all on the first page. `before` is the `next` of the page before; `limit` is at most
    100.
    """
    if which not in WHICH:
        raise UsageError(f"which = {which!r} is neither of {' and '.join(WHICH)}")
    reviews = project.reviews
    found = reviews.list() if before <= 0 else ()
    ended: tuple[ReviewState, ...] = ()
    following = 0
    if which == "all":
        earlier, following = reviews.page(max(before, 0), min(max(limit, 1), _MOST))
        ended = tuple(state for state in earlier if not state.is_open)
    return ReviewsView(
        which=which,
        open=tuple(_line(state, reviews.overtaken(state)) for state in found),
        ended=tuple(map(_line, ended)),
        next=following,
    )


def show_review(project: Project, review: str) -> ReviewView:
    """Show all that is needed to decide: what changes, why now, what gets worse, who may decide, evidence.

    `review` is an id, or a unique prefix of one. The document changes with the review and with what is known
    about its versions, never by time alone: its entity tag says what somebody saw.
    """
    reviews = project.reviews
    state = reviews.find(review)
    asked = state.review
    versions, comparisons = _evidence(project, state)
    return ReviewView(
        review=_line(state, reviews.overtaken(state)),
        sections=reviews.sections(state),
        people=tuple(people_lines(state, reviews.electorate().notes(state)))
        if state.is_open
        else (),
        votes=state.votes,
        timeout=timeout_text(state),
        obstacles=reviews.obstacles(state) if state.is_open else {},
        reasons=asked.reasons,
        run=asked.run,
        versions=versions,
        comparisons=comparisons,
        way_back=_way_back(project, state),
    )


def vote_on_review(
    project: Project, review: str, choice: str, reason: str, note: str = ""
) -> VoteView:
    """Approve a change, reject it, or ask for changes, with a reason.

    `choice` is approve, reject or changes. With the last approval that is needed a model goes live at once.
    """
    reviews = project.reviews
    votes = {
        Choice.APPROVE: reviews.approve,
        Choice.REJECT: reviews.reject,
        Choice.CHANGES: reviews.ask_changes,
    }
    if choice not in [*Choice]:
        raise UsageError(f"choice = {choice!r} is none of {', '.join(Choice)}")
    done = votes[Choice(choice)](review, reason, note=note)
    problems = reviews.notify()
    text = voted_text(done.state, done.vote, went_live=done.went_live, notes=done.notes)
    return VoteView(
        told="\n".join((text[:1].upper() + text[1:], *problems)),
        review=_line(done.state),
        vote=done.vote,
        went_live=done.went_live,
        problems=problems,
    )


def _line(state: ReviewState, overtaken: str = "") -> ReviewLine:
    review = state.review
    return ReviewLine(
        id=review.id,
        kind=review.kind,
        name=review.name,
        label=review.label,
        artifact=review.artifact,
        title=outcome_title(state),
        question=question(review),
        author=review.author,
        opened=review.opened,
        expires=state.expires,
        asked=asked_text(state),
        approvals=missing_text(state),
        is_open=state.is_open,
        outcome=state.outcome,
        closed=state.closed,
        ending="" if state.is_open else ending_text(state),
        overtaken=overtaken,
    )


def _way_back(project: Project, state: ReviewState) -> WayBack | None:
    review = state.review
    if review.kind is not SubjectKind.DELIVERY or review.name not in project.models:
        return None
    right = action_right(project, Permission.DELIVER)
    return WayBack(live=show_live(project, review.name), right=right)


def _evidence(
    project: Project, state: ReviewState
) -> tuple[tuple[ScoredVersion, ...], tuple[MetricComparison, ...]]:
    """The candidate and what it would replace with their scores; none of a model that isn't known here."""
    review = state.review
    if not review.artifact or review.name not in project.models:
        return (), ()
    known = {version.id: version for version in project.models[review.name].versions}
    live, candidate = known.get(review.replaces), known.get(review.artifact)
    found = [
        _scored_version(project, role, version)
        for role, version in (("live", live), ("candidate", candidate))
        if version is not None
    ]
    if live is None or candidate is None:
        return tuple(found), ()
    compared = compare_versions(live, candidate).metrics
    return tuple(found), shown_comparisons(project, compared)


def _scored_version(project: Project, role: str, version: ModelVersion) -> ScoredVersion:
    scores = score_cards(shown_version(project, version).evaluations)
    return ScoredVersion(role=role, version=version.id, scores=scores)
