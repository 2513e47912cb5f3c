"""Rules decide on changes: what can't be evaluated is refused, and only waivers lift a rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import DeclarationError
from tidemill.governance.facts import FactType, specs_of
from tidemill.governance.policy import (
    NO_RULES,
    PolicyRule,
    RuleEffect,
    RuleSet,
    decide,
    declared_for,
    rule_set,
)
from tidemill.ledger.policy import PolicyDecision, PolicyOutcome, SubjectKind, Waiver

DELIVERY = SubjectKind.DELIVERY
NOW = 1_800_000_000.0


def rule(id: str = "r", when: str = "sampled", **options: Any) -> PolicyRule:
    given: dict[str, Any] = {"kinds": {DELIVERY}, "message": "don't", "when": when, **options}
    return PolicyRule(id=id, **given)


def decided(
    rules: RuleSet | PolicyRule, facts: Mapping[str, Any], *waivers: Waiver, now: float = NOW
) -> PolicyDecision:
    known = rules if isinstance(rules, RuleSet) else rule_set([rules])
    return decide(
        known, DELIVERY, facts, subject="s", name="delay", waivers=waivers, now=now, id="p1"
    )


def waiver(rule: str = "r", scope: str = "delay", expires: float = NOW + 1) -> Waiver:
    return Waiver(
        id="w1", rule=rule, scope=scope, reason="why", actor="ana", at=NOW - 9, expires=expires
    )


# Conditions over facts of each type, whatever they say.
NUMBERS = st.sampled_from(["prediction_shift", "cost", "training_rows", "evaluation_rows"])
ATOMS = st.one_of(
    st.sampled_from(["sampled", "stale", "automatic", "first_delivery"]),
    st.builds("{} {} {}".format, NUMBERS, st.sampled_from(["<", ">=", "=="]), st.integers(0, 9)),
    st.builds("{} / {} > 1".format, NUMBERS, NUMBERS),
    st.builds("owner {} 'ana'".format, st.sampled_from(["==", "!="])),
    st.sampled_from(["'id' in personal_columns", "any(c == 'id' for c in personal_columns)"]),
    st.sampled_from(["len(worse_slices) > 1", "owner in worse_slices", "True", "False"]),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} or {})".format, inner, inner),
        st.builds("({} and {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=5,
)
VALUES = {
    FactType.BOOL: st.booleans(),
    FactType.INT: st.integers(0, 10),
    FactType.FLOAT: st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 3)),
    FactType.STR: st.sampled_from(["", "ana", "ben"]),
    FactType.TEXTS: st.lists(st.sampled_from(["id", "ana", "UA"]), max_size=3).map(tuple),
}
SPECS = specs_of(DELIVERY)
FACTS = st.fixed_dictionaries({name: VALUES[spec.type] for name, spec in SPECS.items()})
# None of these is a value of any fact.
NOT_KNOWN: st.SearchStrategy[Any] = st.sampled_from(
    [None, math.nan, math.inf, b"x", ["id"], {}, 1j, "\ud800", (1,), 1 << 64]
)


@st.composite
def rules_of(draw: st.DrawFn, /, **options: Any) -> RuleSet:
    found = draw(st.lists(CONDITIONS, min_size=1, max_size=4))
    effects = draw(st.lists(st.sampled_from(RuleEffect), min_size=4, max_size=4))
    return rule_set(
        rule(f"r{n}", when, effect=effects[n], **options) for n, when in enumerate(found)
    )


@given(rules_of(), FACTS, st.data())
def test_a_missing_fact_is_never_allowed(
    rules: RuleSet, facts: dict[str, Any], data: st.DataObject
) -> None:
    uses = sorted(
        {name for each in rules.rules if each.expression for name in each.expression.uses}
    )
    if not uses:
        return
    gone = data.draw(st.lists(st.sampled_from(uses), min_size=1, unique=True))
    for name in gone:
        if data.draw(st.booleans()):
            del facts[name]
        else:
            facts[name] = data.draw(NOT_KNOWN)
    found = decided(rules, facts)
    assert found.outcome == PolicyOutcome.DENY
    wrong = " ".join(hit.error for hit in found.hits)
    assert all(name in wrong and found.facts[name] is None for name in gone)


@given(rules_of(), FACTS)
def test_rules_decide_as_python_does(rules: RuleSet, facts: dict[str, Any]) -> None:
    found = decided(rules, facts)
    hits = {hit.rule: hit for hit in found.hits}
    for each in rules.rules:
        try:
            applies = bool(eval(each.when, {}, dict(facts)))
        except (ArithmeticError, NameError) as error:
            # A generator doesn't see the local names of eval().
            applies = isinstance(error, ArithmeticError) or "id" in facts["personal_columns"]
        assert (each.id in hits) == applies
    effects = {"deny" if hit.error else hit.effect for hit in found.hits}
    expected = "deny" if "deny" in effects else "review" if "review" in effects else "allow"
    assert found.outcome == expected


@given(rules_of(), FACTS)
def test_what_is_decided_again_from_its_facts_is_the_same(
    rules: RuleSet, facts: dict[str, Any]
) -> None:
    found = decided(rules, facts)
    assert decided(rules, found.facts) == found


def test_no_rules_allow() -> None:
    found = decided(NO_RULES, {})
    assert (found.outcome, found.hits, found.rules) == (PolicyOutcome.ALLOW, (), "")
    assert not NO_RULES


def test_a_rule_asks_for_what_its_effect_says() -> None:
    asked = rule(effect=RuleEffect.REVIEW, people=2, approvers=("ops",), author_may_approve=False)
    found = decided(asked, {"sampled": True})
    assert found.outcome == PolicyOutcome.REVIEW
    (hit,) = found.hits
    assert (hit.people, hit.approvers, hit.author_may_approve) == (2, ("ops",), False)
    assert decided(rule(effect=RuleEffect.WARN), {"sampled": True}).outcome == PolicyOutcome.ALLOW
    assert decided(rule(), {"sampled": True}).outcome == PolicyOutcome.DENY
    assert decided(rule(), {"sampled": False}).outcome == PolicyOutcome.ALLOW
    assert decided(rule(kinds={SubjectKind.TABLE}), {"sampled": True}).hits == ()


def test_an_error_is_refused_and_says_what_happened() -> None:
    found = decided(
        rule(when="1 / training_rows > 0", effect=RuleEffect.WARN), {"training_rows": 0}
    )
    assert found.outcome == PolicyOutcome.DENY
    assert found.hits[0].error == "ZeroDivisionError: division by zero"
    found = decided(rule(when="sampled or stale"), {"sampled": True})
    assert found.hits[0].error == "fact stale is not known"
    assert decided(rule(when="sampled or stale"), {}).hits[0].error == (
        "facts sampled, stale are not known"
    )


@pytest.mark.parametrize("facts", [{"sampled": True}, {}], ids=["applies", "fails"])
def test_a_waiver_lifts_a_rule_also_one_that_fails(facts: dict[str, Any]) -> None:
    found = decided(rule(), facts, waiver())
    assert found.outcome == PolicyOutcome.ALLOW
    (hit,) = found.hits
    assert hit.waiver == "w1"
    assert bool(hit.error) == (not facts)
    assert found.waivers == ("w1",)


@pytest.mark.parametrize(
    "other",
    [waiver(rule="q"), waiver(scope="dela"), waiver(scope="Delay"), waiver(expires=NOW)],
    ids=["rule", "scope", "case", "expired"],
)
def test_other_waivers_lift_nothing(other: Waiver) -> None:
    assert decided(rule(), {"sampled": True}, other).outcome == PolicyOutcome.DENY


def test_a_scope_is_a_pattern() -> None:
    found = decided(rule(), {"sampled": True}, waiver(scope="del*"))
    assert found.outcome == PolicyOutcome.ALLOW


def test_a_rule_ends_after_its_last_day() -> None:
    ending = rule(expires=date(2027, 1, 31))
    last = datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert decided(ending, {"sampled": True}, now=last).outcome == PolicyOutcome.DENY
    assert decided(ending, {"sampled": True}, now=last + 1).outcome == PolicyOutcome.ALLOW
    assert not rule(expires=date.max).has_expired(last)
    assert rule(expires=date.min).has_expired(last)


def test_a_function_decides_with_the_known_facts() -> None:
    called = rule(when="", function="m:f")
    seen: list[Mapping[str, Any]] = []

    def answer(value: Any) -> PolicyDecision:
        def call(facts: Mapping[str, Any]) -> Any:
            seen.append(facts)
            return value

        rules = rule_set([called], functions={"m:f": "d"}, calls={"m:f": call})
        return decided(rules, {"sampled": True, "cost": math.nan})

    assert answer(True).hits[0].message == "don't"
    assert answer("too dear").hits[0].message == "too dear"
    assert answer("\ud800x").hits[0].message == "\\ud800x"
    assert answer(False).hits == ()
    assert answer(None).hits[0].error == "m:f returned None, not True, False or a message"
    assert answer(" ").outcome == PolicyOutcome.DENY
    assert seen[0] == {"sampled": True}
    # A set that was made without loading the function.
    assert decided(called, {}).hits[0].error == "function m:f isn't loaded"


def test_the_digest_is_that_of_what_rules_decide() -> None:
    first, second = rule("a"), rule("b", "stale")
    digest = rule_set([first, second]).digest
    assert rule_set([second, first], text="# a comment").digest == digest
    spaced = rule("a", "\n sampled  # why\n")
    assert rule_set([spaced, second]).digest == digest
    changes: list[dict[str, Any]] = [
        {"message": "other"}, {"effect": RuleEffect.WARN}, {"people": 2}, {"approvers": ("ana",)},
        {"author_may_approve": False}, {"expires": date(2027, 1, 1)}, {"kinds": {SubjectKind.TABLE}},
    ]  # fmt: skip
    others = {rule_set([replace(first, **change), second]).digest for change in changes}
    assert len(others | {digest}) == len(changes) + 1
    # Spaces within a text count.
    assert (
        rule_set([rule(when="owner == 'a b'")]).digest
        != rule_set([rule(when="owner == 'a  b'")]).digest
    )
    called = rule(when="", function="m:f")
    digests = {rule_set([called], functions={"m:f": code}).digest for code in "ab"}
    assert len(digests) == 2


def test_two_rules_of_one_id_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two rules 'r'"):
        rule_set([rule(), rule()])
    found = rule_set([rule()])
    assert found.rule("r") == rule()
    assert found.rule("q") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ()}, "it is on nothing"),
        ({"when": ""}, "either `when` or `function`"),
        ({"function": "m:f"}, "either `when` or `function`"),
        ({"message": " "}, "no message"),
        ({"people": 0}, "0 people"),
        ({"when": "broken_consumers == ()"}, "of delivery (it is a fact of contract, promotion)"),
        ({"when": "prediction_shft > 1"}, "did you mean 'prediction_shift'?"),
        (
            {"when": "cost > 1", "kinds": {DELIVERY, SubjectKind.TABLE}},
            "there is no fact 'cost' of table (it is a fact of delivery)",
        ),
    ],
)
def test_a_rule_that_cant_be_used_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        rule(**options)
    assert message in str(caught.value)


def test_facts_of_several_kinds_are_those_that_all_have() -> None:
    shared = declared_for([DELIVERY, SubjectKind.TABLE])
    assert "stale" in shared
    assert "cost" not in shared
    assert declared_for([]) == {}
