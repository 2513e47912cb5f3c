"""Decide on the changes of a run or a command, by what their environment recorded before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.change_verdict import ALLOWED, Verdict
from tidemill.governance.io.recorded_reviews import (
    asks_about,
    open_reviews,
    reviews_of,
    used_reviews,
)
from tidemill.governance.io.waivers import load_waivers
from tidemill.governance.permissions import Actor
from tidemill.governance.policy import RuleSet, decide
from tidemill.governance.review_state import (
    ReviewState,
    standing_review,
    superseding_events,
)
from tidemill.governance.verdict import Occasion, Proposal, Standing, reach_verdict
from tidemill.ledger.event import Event
from tidemill.ledger.event_filter import EventFilter
from tidemill.ledger.event_subjects import changed_subject
from tidemill.ledger.governance_events import PolicyDecided, RulesLoaded
from tidemill.ledger.policy import FactValue, PolicyDecision, SubjectKind, Waiver
from tidemill.ledger.review import Review
from tidemill.ports.ledger import Ledger
from tidemill.workflow.review import ReviewTerms

_FORESEEN = {"deny": "will refuse it", "review": "will ask for a review", "warn": "will warn"}
_MAY_ASK = "may ask for a review"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenRule:
    """What a rule will say of a change, and whether that `holds` it back."""

    text: str
    holds: bool


class Enforcement:
    """Decides on changes in one environment; what it read of the ledger is kept.

    `author` asks for the changes, with the promotion of an environment `source` if it is one. With `again`
    people are asked once more about all of them. What a verdict
    asks to record belongs in the transaction of the change.
    """

    def __init__(  # noqa: PLR0913 - where, when and by whom changes are asked for
        self,
        ledger: Ledger,
        rules: RuleSet,
        environment: str,
        *,
        author: Actor,
        clock: Callable[[], float],
        run: str = "",
        source: str = "",
        again: bool = False,
    ) -> None:
        self.rules = rules
        self._ledger = ledger
        self._environment = environment
        self._author = author
        self._clock = clock
        self._run = run
        self._source = source
        self._again = again
        self._asked: dict[SubjectKind, bool] = {}

    def during(self, run: str) -> Enforcement:
        """The same for the changes of a run; it knows what this one has decided."""
        found = copy(self)
        found._run = run
        return found

    def governs(self, kind: SubjectKind, terms: ReviewTerms | None = None) -> bool:
        """Whether a rule is on changes of a kind, the workflow asks about this one, or people were asked.

        What they decided stands, also without the rule that asked them.
        """
        if terms is not None or any(kind in rule.kinds for rule in self.rules.rules):
            return True
        return self._was_asked_about(kind)

    def uses(self, kind: SubjectKind, fact: str) -> bool:
        """Whether a rule on changes of a kind may use a fact, which is costly to find."""
        return any(
            rule.expression is None or fact in rule.expression.uses
            for rule in self.rules.rules
            if kind in rule.kinds
        )

    def decide(
        self, proposal: Proposal, terms: ReviewTerms | None = None, *, again: bool = False
    ) -> Verdict:
        """Decide on a change; with `again` people are asked once more about what they rejected."""
        change = proposal.change
        if not self.governs(change.kind, terms):
            return ALLOWED
        occasion = Occasion(
            environment=self._environment,
            author=self._author.name,
            author_vouched_by=self._author.vouched_by,
            now=self._clock(),
            run=self._run,
            source=self._source,
            again=again or self._again,
        )
        place = change.kind, change.name
        reviews = self._reviews_of(*place)
        standing = Standing(
            reviews=reviews,
            waivers=self._waivers,
            rules=frozenset(self._loaded),
            last=lambda: self._last_decision(*place),
            used=lambda: used_reviews(self._ledger, self._environment, reviews, self._until),
        )
        verdict = reach_verdict(proposal, self.rules, terms, standing, occasion)
        self._loaded.update(e.rules for e in verdict.events if isinstance(e, RulesLoaded))
        return verdict

    def preview(self, proposal: Proposal, terms: ReviewTerms | None = None) -> Verdict:
        """What would be decided now; nothing is to be recorded."""
        known = {*self._loaded}
        verdict = self.decide(proposal, terms)
        self._loaded = known
        return replace(verdict, events=())

    def foresee(
        self, kind: SubjectKind, name: str, facts: Mapping[str, FactValue]
    ) -> tuple[str, ...]:
        """What rules will say of a change of which only some facts are known yet; a line per rule."""
        return tuple(each.text for each in self.foresee_rules(kind, name, facts))

    def foresee_rules(
        self, kind: SubjectKind, name: str, facts: Mapping[str, FactValue]
    ) -> tuple[ForeseenRule, ...]:
        """The rules that will refuse a change, ask people or warn, as far as its facts are known yet.

        Where other rules use a fact that isn't known yet, and may refuse it, people may not be asked.
        """
        decision = decide(
            self.rules,
            kind,
            facts,
            subject="",
            name=name,
            waivers=self._waivers,
            now=self._clock(),
            id="",
        )
        words = _FORESEEN | ({"review": _MAY_ASK} if any(h.error for h in decision.hits) else {})
        return tuple(
            ForeseenRule(
                text=f"{name}: rule {hit.rule} {words[hit.effect]}: {hit.message}",
                holds=hit.effect != "warn",
            )
            for hit in decision.hits
            if not hit.error and not hit.waiver
        )

    def waiting_review(self, kind: SubjectKind, name: str, evidence: str) -> Review | None:
        """The open review of a name, if it was decided on by this evidence and the same rules last."""
        last = self._last_decision(kind, name)
        if last is None or (last.evidence, last.rules) != (evidence, self.rules.digest):
            return None
        state = standing_review(self._reviews_of(kind, name), (kind, name, ""), last.subject)
        return state.review if state is not None and state.is_open else None

    def end_reviews(self, kind: SubjectKind, name: str, reason: str) -> tuple[Event, ...]:
        """The events that end the open reviews of what is no longer to be decided."""
        return superseding_events(self._reviews_of(kind, name), (kind, name, ""), reason)

    @property
    def open_reviews(self) -> Mapping[str, ReviewState]:
        """The open reviews of the environment now, by id."""
        return open_reviews(self._ledger, self._environment)

    def _reviews_of(self, kind: SubjectKind, name: str) -> Mapping[str, ReviewState]:
        return reviews_of(self._ledger, self._environment, kind, name)

    def _was_asked_about(self, kind: SubjectKind) -> bool:
        """Whether people were asked about changes of a kind before; only rules or terms add to them."""
        if kind not in self._asked:
            self._asked[kind] = asks_about(self._ledger, self._environment, kind)
        return self._asked[kind]

    @property
    def _waivers(self) -> tuple[Waiver, ...]:
        # A run takes hours: a waiver that a person ended meanwhile no longer counts.
        return load_waivers(self._ledger, self._environment, self._clock())

    @cached_property
    def _loaded(self) -> set[str]:
        """The digests of rules whose text is recorded."""
        return {
            fact.event.rules
            for fact in self._ledger.events(kinds=("RulesLoaded",))
            if isinstance(fact.event, RulesLoaded) and fact.event.environment == self._environment
        }

    @cached_property
    def _until(self) -> int:
        """What was decided before this event counts; nothing that a run decides is decided on twice in it."""
        return self._ledger.state(self._environment).seq + 1

    def _last_decision(self, kind: SubjectKind, name: str) -> PolicyDecision | None:
        where = EventFilter(about=changed_subject(kind, name), before=self._until)
        for fact in self._ledger.events(kinds=("PolicyDecided",), where=where, newest=True):
            event = fact.event
            if isinstance(event, PolicyDecided) and event.environment == self._environment:
                return event.decision
        return None
