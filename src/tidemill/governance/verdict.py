"""What rules, waivers and reviews make of a change: it goes on, waits for people, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.again_command import again_command
from tidemill.governance.change_verdict import Verdict
from tidemill.governance.expression import compile_expression, namespace_of, show_values
from tidemill.governance.policy import RuleSet, decide, declared_for
from tidemill.governance.review_state import (
    ReviewState,
    ReviewSubject,
    open_review,
    standing_review,
    superseding_events,
)
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import PolicyDecided, ReviewOpened, RulesLoaded
from tidemill.ledger.policy import (
    FactValue,
    PolicyDecision,
    PolicyOutcome,
    RuleHit,
    SubjectKind,
    Waiver,
)
from tidemill.ledger.review import DECIDED_AGAINST, REFUSALS, Review, ReviewOutcome
from tidemill.ledger.review_command import review_command
from tidemill.workflow.review import ReviewTerms

_ALLOW, _REVIEW, _DENY = PolicyOutcome.ALLOW, PolicyOutcome.REVIEW, PolicyOutcome.DENY


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change to decide on, what people call it, the facts about it, and what gates measured it by."""

    change: ReviewSubject
    title: str
    facts: Mapping[str, FactValue]
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an environment recorded before: its reviews, the waivers in force, and the rules that it used.

    `last` finds the last decision on the change's name, None if there is none: only what is held needs it.
    `used` finds the reviews by whose approval a change went on: only what was approved needs it.
    """

    reviews: Mapping[str, ReviewState] = field(default_factory=dict)
    waivers: Sequence[Waiver] = ()
    rules: frozenset[str] = frozenset()
    last: Callable[[], PolicyDecision | None] = lambda: None
    used: Callable[[], Collection[str]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Where, when and by whom a change is asked for; `again`: also if people rejected it before.

    `source` is the environment whose promotion asks, if one does.
    """

    environment: str
    author: str
    now: float
    run: str = ""
    again: bool = False
    author_vouched_by: tuple[str, ...] = ()
    source: str = ""


def reach_verdict(
    proposal: Proposal,
    rules: RuleSet,
    terms: ReviewTerms | None,
    standing: Standing,
    occasion: Occasion,
) -> Verdict:
    """Decide on a change by the rules, the terms of its workflow, and what people decided on it before.

    The strictest of the rules and the terms counts. People's approval is of exactly this subject, for one
    time, and only if as many were asked as are needed now.
    """
    return _Deliberation(proposal, rules, standing, occasion).verdict(terms)


class _Deliberation:
    """Turns the decision of the rules on one change into a verdict."""

    def __init__(
        self, proposal: Proposal, rules: RuleSet, standing: Standing, occasion: Occasion
    ) -> None:
        self._title = proposal.title
        self._change = change = proposal.change
        self._rules = rules
        self._standing = standing
        self._occasion = occasion
        decision = decide(
            rules,
            change.kind,
            proposal.facts,
            subject=change.subject,
            name=change.name,
            waivers=standing.waivers,
            now=occasion.now,
            id=self._id("p"),
            actor=occasion.author,
            run=occasion.run,
        )
        self._decision = replace(decision, evidence=proposal.evidence)

    def verdict(self, terms: ReviewTerms | None) -> Verdict:
        decision = self._decision
        asking = _reason_of_terms(terms, self._change.kind, decision.facts)
        if decision.outcome is _DENY:
            gone = self._superseded("the rules refuse the change")
            return self._kept(_DENY, _denial(self._title, decision, self._rules), gone)
        if decision.outcome is _ALLOW and not asking:
            return self._kept_back() or self._go_on()
        wanted = open_review(
            replace(self._change, reasons=(asking,)) if asking else self._change,
            terms if asking else None,
            decision,
            id=self._id("r"),
            author=self._occasion.author,
            now=self._occasion.now,
            run=self._occasion.run,
        )
        occasion = self._occasion
        return self._ask(
            replace(wanted, author_vouched_by=occasion.author_vouched_by, source=occasion.source)
        )

    def _ask(self, wanted: Review) -> Verdict:
        """Wait for the review that is wanted, unless people decided on exactly this before."""
        last, again = self._last_review(), self._occasion.again
        if last is not None and _asks_the_same(last.review, wanted):
            if self._is_approved(last) and not again:
                return self._go_on(f"{self._title}: approved in review {last.review.id}")
            if last.is_open:
                waiting = _waiting(self._title, last.review, "still waits for")
                return self._kept(_REVIEW, waiting, review=last.review.id)
        if last is not None and last.outcome in REFUSALS and not again:
            return self._rejected(last)
        gone = self._superseded(f"review {wanted.id} asks about what would change now")
        opened = ReviewOpened(environment=self._occasion.environment, review=wanted)
        waiting = _waiting(self._title, wanted, "waits for")
        return self._kept(_REVIEW, waiting, (*gone, opened), review=wanted.id, always=True)

    def _kept_back(self) -> Verdict | None:
        """The refusal of a change that people decided against, though nobody would be asked now."""
        last = self._last_review()
        if last is None or last.outcome not in DECIDED_AGAINST or self._occasion.again:
            return None
        return self._rejected(last)

    def _rejected(self, last: ReviewState) -> Verdict:
        command = again_command(self._change, self._occasion.environment, self._occasion.source)
        return self._kept(_DENY, _rejection(self._title, last, command))

    def _last_review(self) -> ReviewState | None:
        change = self._change
        return standing_review(self._standing.reviews, change.place, change.subject)

    def _is_approved(self, last: ReviewState) -> bool:
        """Whether people approved the change, and nothing went on by that yet."""
        approved = last.outcome is ReviewOutcome.APPROVED
        return approved and last.review.id not in self._standing.used()

    def _go_on(self, message: str = "") -> Verdict:
        """Let the change go on, which is newer than what people are still asked about."""
        last = self._last_review()
        approval = last.review.id if last is not None and self._is_approved(last) else ""
        events = (
            *self._recorded(always=True, approval=approval),
            *self._superseded(f"{self._title} went on since"),
        )
        return Verdict(
            events=events,
            message=message,
            warnings=_warnings(self._decision),
            rests_on=frozenset(self._rests_on()),
        )

    def _rests_on(self) -> Iterator[str]:
        """The open reviews of exactly this change, which a person could still reject, and the waivers."""
        change = self._change
        for state in self._standing.reviews.values():
            same = (state.place, state.review.subject) == (change.place, change.subject)
            if same and state.is_open:
                yield state.review.id
        for hit in self._decision.hits:
            if hit.waiver and (hit.error or hit.effect != "warn"):
                yield hit.waiver

    def _kept(
        self,
        outcome: PolicyOutcome,
        message: str,
        events: Sequence[Event] = (),
        *,
        review: str = "",
        always: bool = False,
    ) -> Verdict:
        """Keep the change from going on; a review that is opened refers to its decision (`always`)."""
        return Verdict(
            outcome=outcome,
            events=(*self._recorded(always=always), *events),
            message=message,
            warnings=_warnings(self._decision),
            review=review,
        )

    def _superseded(self, reason: str) -> tuple[Event, ...]:
        return superseding_events(self._standing.reviews, self._change.place, reason)

    def _recorded(self, *, always: bool = False, approval: str = "") -> tuple[Event, ...]:
        """The events of the decision; none if the last one was the same, unless something needs this one.

        `approval` is the review in which people approved what goes on, which it is used up by.
        """
        rules, environment = self._rules, self._occasion.environment
        last = None if always else self._standing.last()
        if last is not None and _content(self._decision) == _content(last):
            return ()
        decided = PolicyDecided(environment=environment, decision=self._decision, review=approval)
        if not rules.digest or rules.digest in self._standing.rules:
            return (decided,)
        loaded = RulesLoaded(
            environment=environment,
            rules=rules.digest,
            text=rules.text,
            functions=dict(rules.functions),
        )
        return loaded, decided

    def _id(self, letter: str) -> str:
        change, occasion = self._change, self._occasion
        digest = fingerprint(
            "change", change.kind, change.name, change.subject, self._rules.digest,
            occasion.environment, occasion.run, occasion.now,
        )  # fmt: skip
        return f"{letter}{digest[:12]}"


def _asks_the_same(asked: Review, wanted: Review) -> bool:
    """Whether a review asked enough people whether the same may take the place of the same."""
    return asked.replaces == wanted.replaces and is_enough(asked, wanted)


def is_enough(asked: Review, wanted: Review) -> bool:
    """Whether people who were asked in one review are those, and as many, whom another one would ask."""
    if asked.author_may_approve and not wanted.author_may_approve:
        return False
    return all(
        any(
            set(quorum.asked) <= set(needed.asked)
            and quorum.people >= needed.people
            and (quorum.fixed or not needed.fixed)
            for quorum in asked.quorums
        )
        for needed in wanted.quorums
    )


def _reason_of_terms(
    terms: ReviewTerms | None, kind: SubjectKind, facts: Mapping[str, FactValue]
) -> str:
    """Why the terms of a workflow ask people; "" if they don't. Who can't tell has to ask."""
    if terms is None:
        return ""
    if not terms.when:
        return "the workflow asks for a review of every change"
    try:
        expression = compile_expression(terms.when, declared_for([kind]))
        missing = [name for name in expression.uses if facts[name] is None]
        if missing:
            return f"{terms.when}: {', '.join(missing)} not known"
        return terms.when if expression.evaluate(namespace_of(facts)) else ""
    except Exception as error:  # noqa: BLE001 - whatever goes wrong has to be looked at by people
        return f"{terms.when}: {type(error).__name__}: {error}"


def _content(decision: PolicyDecision) -> tuple[object, ...]:
    """What two decisions have in common that are on the same subject, by the same rules and facts."""
    facts = {name: repr(value) for name, value in decision.facts.items()}
    subject = decision.kind, decision.subject, decision.evidence
    return *subject, decision.rules, decision.outcome, decision.hits, facts


def _counted(decision: PolicyDecision, outcome: PolicyOutcome) -> Iterator[RuleHit]:
    """The rules that ask for an outcome, and that no waiver lifts."""
    for hit in decision.hits:
        denies = bool(hit.error) or hit.effect == _DENY
        if not hit.waiver and (denies if outcome is _DENY else hit.effect == outcome):
            yield hit


def _denial(title: str, decision: PolicyDecision, rules: RuleSet) -> str:
    denying = [*_counted(decision, _DENY)]
    lines = [f"rule {hit.rule}: {hit.message}{_seen(hit, decision, rules)}" for hit in denying]
    lines += [
        f"rule {hit.rule} would ask for a review: {hit.message}{_seen(hit, decision, rules)}"
        for hit in _counted(decision, _REVIEW)
        if not hit.error
    ]
    commands = [
        f"tidemill policy waive {hit.rule} --for {decision.name} --ttl 14d --reason REASON"
        for hit in denying
    ]
    return "\n".join(
        [
            f"{title}: refused by the rules",
            *lines,
            f"change what the rule asks for, or waive it: {'; '.join(commands)}",
        ]
    )


def _seen(hit: RuleHit, decision: PolicyDecision, rules: RuleSet) -> str:
    """The condition of a rule with the values that it saw, or why it can't be evaluated."""
    if hit.error:
        return f" (it can't be evaluated: {hit.error})"
    rule = rules.rule(hit.rule)
    values = show_values(rule.when, decision.facts) if rule is not None and rule.when else ""
    # The value of a condition that is a single fact says nothing.
    return f" ({values})" if values not in ("", "True") else ""


def _waiting(title: str, review: Review, verb: str) -> str:
    people = f"{review.people} people of " if review.people > 1 else ""
    return "\n".join(
        [
            f"{title}: {verb} review {review.id} by {people}{', '.join(review.asked)}",
            *review.reasons,
            review_command(review.id),
        ]
    )


def _rejection(title: str, state: ReviewState, command: str) -> str:
    day = datetime.fromtimestamp(state.closed or 0.0).astimezone().strftime("%Y-%m-%d")
    said = [f"{vote.actor}: {vote.reason}" for vote in state.votes if vote.choice != "approve"]
    return "\n".join(
        [
            f"{title}: review {state.review.id} ended on {day}: {state.outcome}",
            *(said or filter(None, [state.reason])),
            f"it isn't asked about again until it changes, or until `{command}`",
        ]
    )


def _warnings(decision: PolicyDecision) -> tuple[str, ...]:
    return tuple(
        f"rule {hit.rule}: {hit.message}"
        for hit in decision.hits
        if hit.effect == "warn" and not hit.error and not hit.waiver
    )
