"""Cases of rules: what is expected, and every difference from it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.governance.test_policy import NOW, rule
from tidemill.governance.policy import RuleEffect, rule_set
from tidemill.governance.policy_cases import (
    CaseResult,
    parse_cases,
    run_cases,
    uncovered_rules,
)

FILE = "tidemill.rules.test.toml"
RULES = rule_set(
    [
        rule("sampled", "sampled", message="no samples"),
        rule("shift", "prediction_shift > 0.1", effect=RuleEffect.REVIEW),
    ]
)
KNOWN = ["sampled", "shift"]
FACTS = {"delivery": {"sampled": False, "prediction_shift": 0}}


def case(**options: Any) -> dict[str, Any]:
    return {"kind": "delivery", "expect": "allow", **options}


def result(**options: Any) -> CaseResult:
    cases, faults = parse_cases([case(**options)], FACTS, KNOWN, FILE)
    assert not faults
    (found,) = run_cases(RULES, cases, NOW)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rules": []},
        {"given": {"sampled": True}, "expect": "deny"},
        {"given": {"sampled": True}, "expect": "deny", "rules": ["sampled"]},
        {"given": {"prediction_shift": 0.2}, "expect": "review", "rules": ["shift"]},
        {"missing": ["sampled"], "expect": "deny", "rules": ["sampled"]},
    ],
)
def test_a_case_that_is_decided_as_expected(options: dict[str, Any]) -> None:
    assert result(**options).passed


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"given": {"sampled": True}},
         ["the outcome is deny, not allow", "rule sampled applies (deny): no samples"]),
        ({"given": {"sampled": True}, "rules": []},
         ["the outcome is deny, not allow", "rule sampled applies: no samples"]),
        ({"expect": "deny", "rules": ["sampled"]},
         ["the outcome is allow, not deny", "rule sampled doesn't apply"]),
        ({"given": {"sampled": True, "prediction_shift": 1}, "expect": "deny", "rules": ["sampled"]},
         ["rule shift applies: don't"]),
        ({"missing": ["sampled"]},
         ["the outcome is deny, not allow", "rule sampled can't be evaluated: fact sampled is not known"]),
        # A typo elsewhere must not pass as the refusal that was meant.
        ({"missing": ["sampled"], "expect": "deny"},
         ["rule sampled can't be evaluated: fact sampled is not known; if that is meant, expect it with "
          'rules = ["sampled"]']),
    ],
)  # fmt: skip
def test_differences_are_named(options: dict[str, Any], problems: list[str]) -> None:
    found = result(**options)
    assert list(found.problems) == problems
    assert not found.passed


def test_rules_that_apply_in_no_case_are_named() -> None:
    assert uncovered_rules(RULES, [result()]) == ("sampled", "shift")
    assert uncovered_rules(RULES, [result(given={"sampled": True}, expect="deny")]) == ("shift",)
    failing = result(missing=["sampled"], expect="deny")
    assert uncovered_rules(RULES, [failing]) == ("sampled", "shift")


@pytest.mark.parametrize(
    ("tables", "facts", "message"),
    [
        ({}, {}, f"{FILE}: `case` is not a list of tables (write [[case]]"),
        ([1], {}, f"{FILE}: `case` is not a list of tables"),
        ([], [], f"{FILE}: `facts` is not a table (write [facts.delivery])"),
        ([], {"deliveries": {}}, f"{FILE}: facts: there is no key 'deliveries' (did you mean 'delivery'?)"),
        ([], {"delivery": 1}, f"{FILE}: facts.delivery: 1 is not a table of facts"),
        ([], {"delivery": {"owners": ""}},
         f"{FILE}: facts.delivery: there is no fact 'owners' of delivery (did you mean 'owner'?)"),
        ([case(given={"sampled": "no"})], {},
         f"{FILE}: 'case 1': given: sampled = 'no' is not true or false"),
        ([case(name="one", given={"worse_slices": "UA"})], {},
         f"{FILE}: 'one': given: worse_slices = 'UA' is not a list of texts"),
        ([case(given={"training_rows": 1.5})], {}, "training_rows = 1.5 is not a whole number"),
        ([case(given={"cost": "1"})], {}, "cost = '1' is not a number"),
        ([case(given={"owner": 1})], {}, "owner = 1 is not a text"),
        ([case(given=[1])], {}, "given: [1] is not a table of facts"),
        ([case(missing=["sampledd"])], {},
         "missing: there is no fact 'sampledd' of delivery (did you mean 'sampled'?)"),
        ([case(missing="sampled")], {}, "missing: 'sampled' is not a list of names"),
        ([case(rules=["shft"])], {}, "rules: there is no rule 'shft' (did you mean 'shift'?)"),
        ([case(rules=[1])], {}, "rules: [1] is not a list of names"),
        ([case(expect="denied")], {}, "expect: expect = 'denied' is not one of allow, review, deny"),
        ([{"kind": "delivery"}], {}, "expect: `expect` is missing: allow, review, deny"),
        ([case(kind=["delivery"])], {}, "kind = ['delivery'] is not one of delivery, table"),
        ([case(name=3)], {}, f"{FILE}: 3: name: 3 is not a text"),
        ([{"expect": "deny"}], {}, "kind: `kind` is missing: delivery, table"),
        ([case(expected="deny")], {}, "keys: there is no key 'expected' (did you mean 'expect'?)"),
    ],
)  # fmt: skip
def test_a_fault_says_what_where_and_what_to_do(
    tables: object, facts: object, message: str
) -> None:
    _, faults = parse_cases(tables, facts, KNOWN, FILE)
    assert any(message in str(fault) for fault in faults), [*map(str, faults)]
