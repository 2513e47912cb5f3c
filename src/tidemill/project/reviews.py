"""Reviews of changes: list, show and decide them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, TypeAlias

from tidemill.adapters.codec.events import decode, encode
from tidemill.core.errors import (
    AccessError,
    ConflictError,
    GateError,
    TidemillError,
    UnknownNameError,
    UsageError,
    describe_error,
)
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note, checked_reason
from tidemill.core.short_id import ids_meant
from tidemill.governance.io.recorded_reviews import (
    earlier_reviews,
    newest_reviews,
    open_reviews,
    reviews_named,
)
from tidemill.governance.page_values import PageSection, ReviewPage
from tidemill.governance.permissions import Permission
from tidemill.governance.review_outcomes import (
    approval_events,
    live_moved_on,
    moved_on,
    refusal_events,
    review_decision,
)
from tidemill.governance.review_page import review_page
from tidemill.governance.review_state import (
    DECIDING_EVENTS,
    ReviewState,
    ReviewSubject,
    timeout_events,
)
from tidemill.governance.review_vote import Electorate, asked_text, require_vote, voting_events
from tidemill.governance.verdict import Proposal
from tidemill.ledger.event import Event
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import changed_subject
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    ReviewPageStored,
)
from tidemill.ledger.policy import FactValue
from tidemill.ledger.review import REFUSALS, Choice, Review, ReviewOutcome, Vote
from tidemill.models.gates import subject_of
from tidemill.ports.ledger import Guard, State
from tidemill.project.attest_hooks import attest_live
from tidemill.project.enforcement import enforcement_of, is_governed
from tidemill.project.live_models import LiveModels
from tidemill.project.model_registry import RegisteredModel
from tidemill.project.review_notices import send_notices
from tidemill.project.reviewed_candidate import ReviewedCandidate, read_candidate
from tidemill.project.workspace import Workspace
from tidemill.steps.io.gate_runner import gate_content
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage, evaluations_of

Which: TypeAlias = Literal["open", "all"]
# So many votes of others may come between reading and recording one.
_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVoted:
    """The review after a vote, and the version that went live by it, "" if none.

    `notes` say why that couldn't be attested.
    """

    state: ReviewState
    vote: Vote
    went_live: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """What is stored of a page: the sections that don't change any more."""

    sections: tuple[PageSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """The reviews, and the state of the environment, as of the last event `seen` of the whole ledger."""

    reviews: Mapping[str, ReviewState]
    state: State
    seen: int

    def guard(self) -> Guard:
        return Guard(unchanged=dict.fromkeys(DECIDING_EVENTS, self.seen))


class Reviews:
    """Lists and decides the reviews of a workspace's environment.

    Every method first ends, reminds of or escalates the reviews whose time is over.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def list(self, which: Which = "open", limit: int | None = None) -> tuple[ReviewState, ...]:
        """The open reviews, or all; oldest first. With a `limit` those that ended only among so many last."""
        space = self._workspace
        space.require(Permission.READ)
        found = self.expire()
        if which == "all":
            found = newest_reviews(space.tools.ledger, space.environment, limit)
        return tuple(found.values())

    def page(self, before: int = 0, limit: int = 50) -> tuple[tuple[ReviewState, ...], int]:
        """The reviews that were opened before an event (0: now), newest first, and the next `before`.

        That is 0 if there are no more.
        """
        space = self._workspace
        space.require(Permission.READ)
        self.expire()
        found, following = earlier_reviews(space.tools.ledger, space.environment, before, limit)
        return tuple(found.values()), following

    def obstacles(self, state: ReviewState) -> Mapping[Choice, str]:
        """Why a vote of whoever acts wouldn't be recorded now, by what isn't possible."""
        found, now = {}, self._workspace.tools.clock()
        for choice in Choice:
            try:
                self._permitted_vote(state, choice, now)
            except (AccessError, GateError) as error:
                found[choice] = str(error)
        if what := self.overtaken(state):
            found[Choice.APPROVE] = f"it can't be approved any more: {what}"
        return found

    def overtaken(self, state: ReviewState) -> str:
        """What happened since people were asked about a model, so that it can't be approved any more.

        "" if it can, or if that isn't known because the workflow isn't.
        """
        review, now = state.review, self._workspace.preview_state()
        if not state.is_open or review.verdict is None or review.source:
            return ""
        live = now.live.get(review.name)
        what = live_moved_on(review, live)
        if what or review.name not in self._workspace.flow.names:
            return what
        try:
            found = self._candidate(now, review)
        except ConflictError:
            # A run is publishing another one right now.
            return ""
        return moved_on(review, live, found.artifact, found.evaluated)

    def _candidate(self, state: State, review: Review) -> ReviewedCandidate:
        """The candidate of a model, and its evaluations.

        It is the one that people are asked about while no other is evaluated, whatever was trained since.
        """
        space = self._workspace
        evaluations = [stage.name for stage in evaluations_of(space.flow, review.name)]
        found = read_candidate(state, review.name, evaluations)
        if found.artifact is None or found.artifact.id == review.artifact:
            return found
        known = RegisteredModel(space, space.flow[review.name]).versions
        asked = next((each.artifact for each in known if each.id == review.artifact), None)
        return found if asked is None else found.with_evaluated(asked)

    def find(self, id: str) -> ReviewState:
        """The review that a unique prefix of an id names; UsageError for none or several."""
        self._workspace.require(Permission.READ)
        self.expire()
        return _find(self._read(id).reviews, id)

    def show(self, id: str) -> ReviewPage:
        """The page of a review: what changes, why now, what gets worse, who may decide, how to go back.

        What people were told when they were asked is stored, and stays. Raises as `find` does.
        """
        state = self.find(id)
        now = self._workspace.tools.clock()
        notes = self.electorate().notes(state) if state.is_open else ()
        return review_page(state, self.sections(state), now=now, notes=notes)

    def notify(self) -> tuple[str, ...]:
        """Store pages and send the notices that are due; return what no channel accepted, and why."""
        return (*self.store_pages(), *send_notices(self._workspace))

    def store_pages(self) -> tuple[str, ...]:
        """Store what people are shown about open reviews, where that isn't done; return what failed."""
        problems = []
        for state in self._read().reviews.values():
            if not state.page:
                try:
                    self._store_page(state)
                except TidemillError as error:
                    problems.append(f"review {state.review.id} has no page yet: {error}")
                except Exception as error:  # noqa: BLE001 - the run is over, and its outcome stays
                    reason = describe_error(error)
                    problems.append(f"review {state.review.id} has no page yet: {reason}")
        return tuple(problems)

    def sections(self, state: ReviewState) -> tuple[PageSection, ...]:
        """What people were told when they were asked, which is stored now if it wasn't."""
        return (self._load_page(state) or self._store_page(state)).sections

    def _load_page(self, state: ReviewState) -> StoredPage | None:
        if not state.page:
            return None
        payload = self._workspace.tools.artifacts.get(state.page)
        return decode(StoredPage, payload.decode())

    def _store_page(self, state: ReviewState) -> StoredPage:
        """Store the page of a review; what another process stored meanwhile stays, and is returned."""
        space = self._workspace
        tools = space.tools
        gather = import_module("tidemill.project.review_evidence").review_sections
        sections = gather(space, state.review, tools.clock())
        page = StoredPage(sections=tuple(part.masked(space.redactor.redact) for part in sections))
        [name] = tools.artifacts.put_all([(encode(page).encode(), ".json")])
        event = ReviewPageStored(environment=state.environment, review=state.review.id, page=name)
        problem: ConflictError | None = None
        for _ in range(_TRIES):
            seen = self._read(state.review.id)
            if stored := self._load_page(seen.reviews[state.review.id]):
                return stored
            guard = Guard(
                unchanged={ReviewPageStored.__name__: seen.seen},
                find_missing=tools.artifacts.find_missing,
            )
            try:
                tools.ledger.append([event], now=tools.clock(), guard=guard)
            except ConflictError as error:
                problem = error
            else:
                return page
        assert problem is not None
        raise problem

    def approve(self, id: str, reason: str, *, note: str = "") -> ReviewVoted:
        """Approve a change; with the last approval that is needed it may go on, and a model goes live.

        Raises AccessError for who isn't asked, GateError for a review that ended, ConflictError for a change
        that has moved on or was decided at the same time, StorageError and ContractError for a model that
        can't go live.
        """
        return self._vote(id, Choice.APPROVE, reason, note)

    def reject(self, id: str, reason: str, *, note: str = "") -> ReviewVoted:
        """Reject a change, which ends its review; its author withdraws it. Raises as `approve` does."""
        return self._vote(id, Choice.REJECT, reason, note)

    def ask_changes(self, id: str, reason: str, *, note: str = "") -> ReviewVoted:
        """Ask for changes, which ends a review: what is changed has one of its own. Raises as `approve`."""
        return self._vote(id, Choice.CHANGES, reason, note)

    def expire(self) -> Mapping[str, ReviewState]:
        """Record what is due in reviews whose time is over; return the open reviews by id."""
        tools = self._workspace.tools
        for _ in range(_TRIES):
            seen = self._read()
            now = tools.clock()
            events = [event for state in seen.reviews.values() for event in _due(state, seen, now)]
            if not events:
                return seen.reviews
            try:
                tools.ledger.append(events, now=now, guard=seen.guard())
            except ConflictError:
                continue
        return self._read().reviews

    def electorate(self) -> Electorate:
        """Who may decide in this workflow."""
        space = self._workspace
        return Electorate(grants=space.grants, workflow=space.declared.name)

    def _read(self, id: str = "") -> _Snapshot:
        """Read the open reviews, or those whose ids begin with `id`, and all that was decided before."""
        space = self._workspace
        # What is recorded between the two is known as well; a guard that doesn't know it only tries again.
        state = space.preview_state()
        ledger, name = space.tools.ledger, space.environment
        reviews = reviews_named(ledger, name, id) if id else open_reviews(ledger, name)
        return _Snapshot(reviews=reviews, state=state, seen=state.seq)

    def _vote(self, id: str, choice: Choice, reason: str, note: str) -> ReviewVoted:
        reason, note = checked_reason(reason, f"a vote ({choice} {id})"), checked_note(note)
        self.expire()
        problem: ConflictError | None = None
        for _ in range(_TRIES):
            seen = self._read(id)
            state = _find(seen.reviews, id)
            try:
                return self._record(seen, state, choice, reason, note)
            except _OvertakenVote as error:
                problem = ConflictError(str(error))
            except GateError as error:
                if problem is None or state.is_open:
                    raise
                # It was open when the vote began.
                raise ConflictError(f"another vote came first: {error}") from error
        assert problem is not None
        raise problem

    def _record(
        self, seen: _Snapshot, state: ReviewState, choice: Choice, reason: str, note: str
    ) -> ReviewVoted:
        space, now = self._workspace, self._workspace.tools.clock()
        vote = self._permitted_vote(state, choice, now, reason, note)
        outcome, events = voting_events(state, vote)
        live: tuple[Event, ...] = ()
        guard = seen.guard()
        # What a promotion asked about isn't published yet: it goes live with all of that.
        goes_live = state.review.verdict is not None and not state.review.source
        if outcome is ReviewOutcome.APPROVED and goes_live:
            live, guard = self._going_live(seen, state, vote, now)
        elif outcome in REFUSALS:
            earlier = seen.state.decisions.values()
            live = refusal_events(state, vote.actor, vote.reason, now, earlier)
        self._append((*events, *live), now, guard)
        found = _find(self._read(state.review.id).reviews, state.review.id)
        went = state.review.artifact if outcome is ReviewOutcome.APPROVED and live else ""
        notes = attest_live(space, state.review.name) if went else ()
        return ReviewVoted(state=found, vote=vote, went_live=went, notes=notes)

    def _permitted_vote(
        self, state: ReviewState, choice: Choice, now: float, reason: str = "", note: str = ""
    ) -> Vote:
        """The vote of whoever acts; raises AccessError or GateError for one that wouldn't be recorded."""
        space = self._workspace
        is_author = space.actor.name == state.review.author
        withdraws = is_author and choice is Choice.REJECT
        actor = space.require(Permission.RUN if withdraws else Permission.REVIEW)
        vote = Vote(
            actor=actor.name,
            choice=choice,
            reason=reason,
            at=state.moment(now),
            note=note,
            vouched_by=actor.vouched_by,
        )
        return require_vote(state, self.electorate(), vote, now)

    def _going_live(
        self, seen: _Snapshot, state: ReviewState, vote: Vote, now: float
    ) -> tuple[tuple[Event, ...], Guard]:
        """The events by which the model of a review goes live, if nothing has happened to it since."""
        space, review = self._workspace, state.review
        model = LiveModels(space).approved_model(review.name)
        try:
            found = self._candidate(seen.state, review)
        except ConflictError as error:
            raise _OvertakenVote(str(error)) from error
        live = seen.state.live.get(model.name)
        if what := moved_on(review, live, found.artifact, found.evaluated):
            self._supersede(seen, state, what, now)
        trained = found.artifact
        assert trained is not None
        LiveModels(space).require_usable(model, trained)
        self._require_same_gates(state, model, trained)
        self._require_rules(state, model)
        decision = review_decision(
            state, approved=True, actor=vote.actor, reason=vote.reason, now=now,
            earlier=seen.state.decisions.values(),
        )  # fmt: skip
        assert decision is not None
        evaluated = {name: held for name, held in found.evaluated.items() if held is not None}
        guard = Guard(
            heads=found.heads,
            live={model.name: review.replaces},
            unchanged=seen.guard().unchanged,
            find_missing=space.tools.artifacts.find_missing,
        )
        return approval_events(state, decision, trained, evaluated, found.days), guard

    def _require_same_gates(self, state: ReviewState, model: Stage, trained: Artifact) -> None:
        """Raise GateError if the gates or evaluations that judged a candidate have changed since."""
        space, approval = self._workspace, model.approval
        assert approval is not None, "only a model with gates is reviewed"
        contents = {at: gate_content(gate, space.root) for at, gate in enumerate(approval.gates)}
        names = [stage.name for stage in evaluations_of(space.flow, model.name)]
        recipes = ",".join(space.recipes[name].digest for name in names)
        if subject_of(trained, approval, recipes, contents) != state.review.subject:
            raise GateError(
                f"review {state.review.id} is about what other gates or evaluations judged: run "
                f"`tidemill run {model.name} --again`, which judges the candidate and asks people again"
            )

    def _require_rules(self, state: ReviewState, model: Stage) -> None:
        """Raise GateError if the rules of today refuse what a review is about, or want other people asked."""
        space, review = self._workspace, state.review
        if not is_governed(space) or model.approval is None:
            return
        change = ReviewSubject(
            kind=review.kind,
            name=review.name,
            subject=review.subject,
            artifact=review.artifact,
            replaces=review.replaces,
            verdict=review.verdict,
        )
        proposal = Proposal(
            change=change, title=f"{review.name} {review.artifact}", facts=self._facts(review)
        )
        verdict = enforcement_of(space).decide(proposal, model.approval.review)
        if verdict.allowed or verdict.review == review.id:
            return
        why = verdict.message
        # The other review doesn't exist before a run opens it.
        for event in verdict.events:
            if isinstance(event, ReviewOpened):
                asked = asked_text(ReviewState(environment=space.environment, review=event.review))
                why = f"they ask {asked}; `tidemill run {review.name}` asks them"
        raise GateError(f"review {review.id} can't be approved by the rules of today: {why}")

    def _facts(self, review: Review) -> Mapping[str, FactValue]:
        """The facts that exactly this was decided on by here, last; none if it never was."""
        space, change = self._workspace, (review.kind, review.name, review.subject)
        found: Mapping[str, FactValue] = {}
        facts = space.tools.ledger.events(
            kinds=(PolicyDecided.__name__,), where=about(changed_subject(review.kind, review.name))
        )
        for fact in facts:
            event = fact.event
            if isinstance(event, PolicyDecided) and event.environment == space.environment:
                decision = event.decision
                if (decision.kind, decision.name, decision.subject) == change:
                    found = decision.facts
        return found

    def _supersede(self, seen: _Snapshot, state: ReviewState, what: str, now: float) -> None:
        """End a review whose change has moved on, and say what happened."""
        closed = ReviewClosed(
            environment=state.environment,
            review=state.review.id,
            outcome=ReviewOutcome.SUPERSEDED,
            reason=what,
        )
        self._append((closed,), now, seen.guard())
        raise ConflictError(
            f"review {state.review.id} can't be approved any more and was closed: {what}"
        )

    def _append(self, events: tuple[Event, ...], now: float, guard: Guard) -> None:
        try:
            self._workspace.tools.ledger.append(events, now=now, guard=guard)
        except ConflictError as error:
            raise _OvertakenVote(str(error)) from error


class _OvertakenVote(Exception):
    """Something was recorded between reading the reviews and recording a vote."""


def _due(state: ReviewState, seen: _Snapshot, now: float) -> tuple[Event, ...]:
    events = timeout_events(state, now)
    if not any(isinstance(event, ReviewClosed) for event in events):
        return events
    reason = "nobody decided in time"
    return (*events, *refusal_events(state, "", reason, now, seen.state.decisions.values()))


def _find(reviews: Mapping[str, ReviewState], id: str) -> ReviewState:
    found = ids_meant(id, reviews)
    if len(found) == 1:
        return reviews[found[0]]
    if found:
        raise UsageError(f"{id!r} names several reviews: {', '.join(found)}")
    raise UnknownNameError(f"there is no review {id!r}; `tidemill review list --all` lists them")
