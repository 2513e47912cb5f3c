"""What an environment recorded decides what its changes may do."""

from __future__ import annotations

from dataclasses import replace

import tidemill as tm
from tidemill.governance.change_verdict import ALLOWED
from tidemill.governance.io.enforcement import Enforcement
from tidemill.governance.permissions import Actor
from tidemill.governance.policy import NO_RULES, PolicyRule, RuleEffect, RuleSet, rule_set
from tidemill.governance.review_state import ReviewSubject
from tidemill.governance.verdict import Proposal
from tidemill.ledger.event import EnvironmentCreated
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    RulesLoaded,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.policy import PolicyOutcome, SubjectKind
from tidemill.ledger.review import ReviewOutcome
from tidemill.testing import records as samples
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import PROD

DELIVERY, TABLE = SubjectKind.DELIVERY, SubjectKind.TABLE
DENY = rule_set([PolicyRule(id="owner-declared", kinds={DELIVERY}, when="sampled", message="no")])  # type: ignore[arg-type]
CHANGE = ReviewSubject(kind=DELIVERY, name="delay_model", subject="s")
SAMPLED = Proposal(change=CHANGE, title="delay_model", facts={"sampled": True})


def enforcement(
    ledger: MemoryLedger, rules: RuleSet = DENY, environment: str = PROD
) -> Enforcement:
    return Enforcement(
        ledger, rules, environment, author=Actor(name="ana"), clock=lambda: 150.0, run="run-1"
    )


def test_rules_govern_their_kinds_and_use_their_facts() -> None:
    known = enforcement(MemoryLedger())
    assert known.governs(DELIVERY)
    assert not known.governs(TABLE)
    assert known.governs(TABLE, tm.review())
    assert known.uses(DELIVERY, "sampled")
    assert not known.uses(DELIVERY, "cost")
    function = PolicyRule(id="f", kinds={TABLE}, function="rules:own", message="m")  # type: ignore[arg-type]
    assert enforcement(MemoryLedger(), rule_set([function])).uses(TABLE, "moved_rows")
    assert enforcement(MemoryLedger(), NO_RULES).decide(SAMPLED) is ALLOWED


def test_decisions_waivers_and_reviews_of_the_environment_count() -> None:
    ledger = MemoryLedger()
    ledger.append([EnvironmentCreated(environment=PROD)], now=1.0)
    ledger.append([EnvironmentCreated(environment="dev", parent=PROD)], now=1.0)
    first = enforcement(ledger).decide(SAMPLED)
    assert first.outcome is PolicyOutcome.DENY
    assert [type(event) for event in first.events] == [RulesLoaded, PolicyDecided]
    ledger.append(first.events, now=2.0)
    assert enforcement(ledger).decide(SAMPLED).events == ()
    assert len(enforcement(ledger, environment="dev").decide(SAMPLED).events) == 2
    waiver = replace(samples.waiver(), rule="owner-declared", scope="delay_*", expires=200.0)
    ledger.append([Waived(environment=PROD, waiver=waiver)], now=3.0)
    assert enforcement(ledger).decide(SAMPLED).allowed
    assert not enforcement(ledger, environment="dev").decide(SAMPLED).allowed
    ended = WaiverEnded(environment=PROD, waiver=waiver.id, actor="ana")
    ledger.append([ended], now=4.0)
    assert not enforcement(ledger).decide(SAMPLED).allowed


def test_a_preview_records_nothing() -> None:
    known = enforcement(MemoryLedger())
    assert (known.preview(SAMPLED).events, known.preview(SAMPLED).allowed) == ((), False)
    assert isinstance(known.decide(SAMPLED).events[0], RulesLoaded)
    # Within a run the text of the rules is recorded once.
    other = replace(SAMPLED, change=replace(CHANGE, name="other"))
    assert [type(event) for event in known.decide(other).events] == [PolicyDecided]


def test_reviews_of_what_is_not_decided_any_more_end() -> None:
    ledger = MemoryLedger()
    asked = enforcement(ledger, NO_RULES).decide(SAMPLED, tm.review())
    assert isinstance(asked.events[-1], ReviewOpened)
    ledger.append(asked.events, now=2.0)
    [closed] = enforcement(ledger).end_reviews(DELIVERY, "delay_model", "refused since")
    assert isinstance(closed, ReviewClosed)
    assert (closed.outcome, closed.reason) == (ReviewOutcome.SUPERSEDED, "refused since")
    assert enforcement(ledger).end_reviews(TABLE, "delay_model", "refused since") == ()


def test_rules_are_foreseen_as_far_as_their_facts_are_known() -> None:
    rules = rule_set(
        [
            PolicyRule(id="sample", kinds={DELIVERY}, when="sampled", message="no sample"),  # type: ignore[arg-type]
            PolicyRule(id="cost", kinds={DELIVERY}, when="cost > 1", message="dear"),  # type: ignore[arg-type]
        ]
    )
    ledger = MemoryLedger()
    known = enforcement(ledger, rules)
    foreseen = known.foresee(DELIVERY, "delay_model", {"sampled": True})
    assert foreseen == ("delay_model: rule sample will refuse it: no sample",)
    assert known.foresee(DELIVERY, "delay_model", {"sampled": False}) == ()
    # People aren't asked if the rule whose facts aren't known yet refuses it.
    asking = PolicyRule(
        id="ask",
        kinds=frozenset([DELIVERY]),
        when="sampled",
        message="look",
        effect=RuleEffect.REVIEW,
    )
    for others, word in ((rules.rules, "may"), ((), "will")):
        asked = enforcement(ledger, rule_set([asking, *others]))
        foreseen = asked.foresee(DELIVERY, "delay_model", {"sampled": True})
        assert foreseen[0] == f"delay_model: rule ask {word} ask for a review: look"
    assert known.foresee(TABLE, "delay_model", {"sampled": True}) == ()
    assert list(ledger.events()) == []


def test_a_review_waits_by_the_evidence_and_the_rules_of_the_last_decision() -> None:
    ledger = MemoryLedger()
    ledger.append([EnvironmentCreated(environment=PROD)], now=1.0)
    assert enforcement(ledger).waiting_review(DELIVERY, "delay_model", "rows") is None
    asking = rule_set(
        [PolicyRule(id="a", kinds={DELIVERY}, when="sampled", message="m", effect="review")]  # type: ignore[arg-type]
    )
    found = enforcement(ledger, asking).decide(replace(SAMPLED, evidence="rows"))
    ledger.append(found.events, now=1.0)
    waiting = enforcement(ledger, asking).waiting_review(DELIVERY, "delay_model", "rows")
    assert waiting is not None
    assert waiting.id == found.review
    for rules, name, evidence in (
        (DENY, "delay_model", "rows"),
        (asking, "other", "rows"),
        (asking, "delay_model", "more rows"),
    ):
        assert enforcement(ledger, rules).waiting_review(DELIVERY, name, evidence) is None
    closed = ReviewClosed(environment=PROD, review=found.review, outcome=ReviewOutcome.APPROVED)
    ledger.append([closed], now=1.0)
    assert enforcement(ledger, asking).waiting_review(DELIVERY, "delay_model", "rows") is None
