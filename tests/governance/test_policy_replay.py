"""Replays: the same rules decide the same, and what wasn't recorded isn't guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.governance.test_policy import FACTS, NOT_KNOWN, SPECS, decided, rule, rules_of, waiver
from tidemill.governance.policy import PolicyRule, RuleEffect, RuleSet, rule_set
from tidemill.governance.policy_replay import Replayed, ReplayVerdict, replay
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome


def again(rules: RuleSet | PolicyRule, then: PolicyDecision) -> Replayed:
    known = rules if isinstance(rules, RuleSet) else rule_set([rules])
    return replay(known, then, {"w1": waiver("r0")})


@given(rules_of(), FACTS, st.dictionaries(st.sampled_from(sorted(SPECS)), NOT_KNOWN), st.booleans())
def test_the_same_rules_decide_the_same(
    rules: RuleSet, facts: dict[str, Any], unknown: dict[str, Any], waived: bool
) -> None:
    then = decided(rules, {**facts, **unknown}, *([waiver("r0")] if waived else []))
    found = again(rules, then)
    assert found.now == then
    assert (found.verdict, found.unrecorded, found.changed_rules) == (ReplayVerdict.SAME, (), ())


@given(rules_of(), rules_of(), FACTS)
def test_other_rules_decide_as_they_would_have(
    then: RuleSet, now: RuleSet, facts: dict[str, Any]
) -> None:
    made, other = decided(then, facts), decided(now, facts)
    found = again(now, made)
    assert found.now == other
    same = made.outcome == other.outcome
    assert found.verdict == (ReplayVerdict.SAME if same else ReplayVerdict.DIFFERENT)


@given(rules_of(), rules_of(), FACTS, st.data())
def test_a_verdict_holds_whatever_wasnt_recorded(
    then: RuleSet, now: RuleSet, facts: dict[str, Any], data: st.DataObject
) -> None:
    """What nobody looked at then has any value: a verdict that is sure is right for all of them."""
    used = {name for each in then.rules if each.expression for name in each.expression.uses}
    made = decided(then, {name: value for name, value in facts.items() if name in used})
    found = again(now, made)
    if found.verdict == ReplayVerdict.UNKNOWN:
        assert found.unrecorded
        assert not used & {*found.unrecorded}
        return
    values = data.draw(FACTS)
    full = decided(now, {**values, **{name: facts[name] for name in used}})
    assert full.outcome == found.now.outcome


def test_a_stricter_rule_shows_what_would_be_refused() -> None:
    then = decided(rule(when="prediction_shift > 0.5"), {"prediction_shift": 0.2})
    found = again(rule(when="prediction_shift > 0.1"), then)
    assert found.verdict == ReplayVerdict.DIFFERENT
    assert (found.then.outcome, found.now.outcome) == (PolicyOutcome.ALLOW, PolicyOutcome.DENY)
    assert found.changed_rules == ("r",)


def test_a_fact_that_wasnt_recorded_cant_be_told() -> None:
    then = decided(rule(), {"sampled": False})
    found = again(rule("cost", "cost > 1 and not sampled"), then)
    assert (found.verdict, found.unrecorded) == (ReplayVerdict.UNKNOWN, ("cost",))
    # Decisions from before a fact was declared don't have it at all.
    older = replace(then, facts={"sampled": False})
    assert again(rule("cost", "cost > 1"), older).unrecorded == ("cost",)


def test_another_rule_may_refuse_anyway() -> None:
    then = decided(rule(), {"sampled": True})
    found = again(rule_set([rule(), rule("cost", "cost > 1")]), then)
    assert found.verdict == ReplayVerdict.SAME
    asked = rule(effect=RuleEffect.REVIEW)
    found = again(rule_set([asked, rule("cost", "cost > 1")]), then)
    assert found.verdict == ReplayVerdict.UNKNOWN


def test_a_fact_that_wasnt_known_then_is_not_known_now() -> None:
    then = decided(rule(when="cost > 1"), {})
    found = again(rule("other", "cost > 9"), then)
    assert (found.verdict, found.now.outcome) == (ReplayVerdict.SAME, PolicyOutcome.DENY)


def test_a_waived_rule_stays_waived() -> None:
    then = decided(rule("r0"), {"sampled": True}, waiver("r0"))
    assert again(rule("r0", "sampled or cost > 1"), then).verdict == ReplayVerdict.SAME


def test_a_function_may_have_needed_any_fact_that_wasnt_recorded() -> None:
    def look(facts: Any) -> bool:
        return bool(facts["cost"] > 1)

    called = rule("called", "", function="m:look")
    rules = rule_set([called], functions={"m:look": "d"}, calls={"m:look": look})
    found = again(rules, decided(rule(), {"sampled": False}))
    assert found.verdict == ReplayVerdict.UNKNOWN
    assert "cost" in found.unrecorded
    assert "sampled" not in found.unrecorded
    assert again(rules, decided(rules, {})).verdict == ReplayVerdict.SAME
    assert again(rules, decided(rule(), {"cost": 2.0, "sampled": False})).verdict == (
        ReplayVerdict.DIFFERENT
    )
