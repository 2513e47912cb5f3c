"""Explanations show the values that each rule saw, and who may approve."""

from __future__ import annotations

import pytest

from tests.governance.test_policy import decided, rule, waiver
from tidemill.governance.decision_explanation import (
    ExplainedDecision,
    approvals_of,
    explain_decision,
    fact_text,
)
from tidemill.governance.policy import RuleEffect, RuleSet, rule_set
from tidemill.ledger.policy import FactValue, PolicyDecision, SubjectKind

RULES = rule_set(
    [
        rule("shift", "prediction_shift > 0.1", effect=RuleEffect.REVIEW, people=2,
             approvers=("ops", "ana"), author_may_approve=False),
        rule("stale", "stale", effect=RuleEffect.REVIEW),
        rule("sampled", "sampled"),
        rule("few", "", function="m:few"),
        rule("table", "stale", kinds={SubjectKind.TABLE}),
    ],
    functions={"m:few": "d"},
    calls={"m:few": lambda facts: "few rows"},
)  # fmt: skip


def explained(decision: PolicyDecision, rules: RuleSet = RULES) -> ExplainedDecision:
    return explain_decision(
        decision, "prod", rules=rules.rules, waivers={"w1": waiver("few")}, current=True
    )


def test_a_rule_is_shown_with_its_values() -> None:
    facts = {"prediction_shift": 0.25, "stale": False, "sampled": False}
    found = explained(decided(RULES, facts, waiver("few")))
    assert [(each.hit.rule, each.when, each.values) for each in found.rules] == [
        ("shift", "prediction_shift > 0.1", "0.25 > 0.1"),
        ("few", "m:few()", ""),
    ]
    assert found.others == ("stale", "sampled")
    assert [each.id for each in found.waivers] == ["w1"]


def test_who_may_approve_is_said_for_each_rule() -> None:
    facts = {"prediction_shift": 0.25, "stale": True, "sampled": False}
    found = decided(RULES, facts, waiver("few"))
    assert approvals_of(found) == (
        "shift: 2 people of ops, ana, but not the author",
        "stale: one person who may review",
    )
    # Nobody approves what is refused.
    assert approvals_of(decided(RULES, {**facts, "sampled": True})) == ()


def test_without_the_rules_of_then_the_hits_are_shown() -> None:
    found = explained(decided(RULES, {}), RuleSet())
    assert [each.hit.rule for each in found.rules] == ["shift", "stale", "sampled", "few"]
    assert {each.when for each in found.rules} == {""}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not known"), (True, "true"), (False, "false"), (0.25, "0.25"), (3, "3"), ("", '""'),
        ("ops", "ops"), ((), "none"), (("a", "b"), "a, b"),
        (tuple("abcdefghij"), "a, b, c, d, e, f, g, h, ... 2 more"),
    ],
)  # fmt: skip
def test_facts_have_words(value: FactValue, text: str) -> None:
    assert fact_text(value) == text
