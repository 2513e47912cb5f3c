"""Files of rules: every fault says what is wrong, where, and what to do."""

from __future__ import annotations

from datetime import date

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.governance.policy import PolicyRule, RuleEffect
from tidemill.governance.rules_file import approver_faults, parse_rules
from tidemill.ledger.policy import SubjectKind

FILE = "tidemill.rules.toml"
RULE = """
[[rule]]
id = "shift"
on = ["delivery"]
when = "prediction_shift > 0.1"
message = "predictions move"
"""


def faults(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    try:
        return [str(fault) for fault in parse_rules(content, FILE).faults]
    except DeclarationError as error:
        return [str(fault) for fault in error.faults]


def test_a_file_of_rules() -> None:
    text = f"""{RULE}
effect = "review"
approvers = ["@ops-leads", "role:admin", "ana"]
people = 2
author_may_approve = false
expires = 2027-01-31

[[rule]]
id = "dear"
on = ["delivery", "table"]
function = "rules:dear"
message = "too dear"

[facts.delivery]
owner = "ana"

[[case]]
name = "one"
"""
    found = parse_rules(text.encode(), FILE)
    assert found.faults == ()
    assert found.rules == (
        PolicyRule(
            id="shift",
            kinds=frozenset({SubjectKind.DELIVERY}),
            when="prediction_shift > 0.1",
            message="predictions move",
            effect=RuleEffect.REVIEW,
            approvers=("@ops-leads", "role:admin", "ana"),
            people=2,
            author_may_approve=False,
            expires=date(2027, 1, 31),
        ),
        PolicyRule(
            id="dear",
            kinds=frozenset({SubjectKind.DELIVERY, SubjectKind.TABLE}),
            function="rules:dear",
            message="too dear",
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{FILE}: it has no rules (write [[rule]] with id, on, when and message, or delete it)"),
        ("# nothing\n", f"{FILE}: it has no rules"),
        ("[rule]\nid = 'a'", f"{FILE}: `rule` is not a list of tables (write [[rule]]"),
        ("rule = [1]", f"{FILE}: `rule` is not a list of tables"),
        (f"{RULE}\n[rules]\n", f"{FILE}: there is no key 'rules' (did you mean 'rule'?)"),
        ("[[rule]", f"{FILE}: it is not TOML: Expected ']]'"),
        ("a = " + "[" * 5000, f"{FILE}: it is not TOML"),
        ("[[rule]]\nid = 'caf\xe9'".encode("latin-1"), f"{FILE}: line 2 is not UTF-8 (save it as UTF-8)"),
        (b"\xff\xfei\0d\0", f"{FILE}: line 1 is not UTF-8"),
        (f"{RULE}{RULE}", f"{FILE}: rules 1, 2 have the same id 'shift' (give each rule an id"),
        (RULE * 12, f"{FILE}: rules 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ... have the same id 'shift'"),
        (f"{RULE}people = {'9' * 5000}", f"{FILE}: line 7 has a number of more than 64 bits"),
        (f"{RULE}people = 0x{'f' * 5000}", f"{FILE}: rule[1].people is a number of more than 64 bits"),
        (f"{RULE}efect = 'warn'", f"{FILE}: rule 'shift': there is no key 'efect' (did you mean 'effect'?)"),
        (f"{RULE}effect = 'reviews'",
         "effect = 'reviews' is not one of deny, review, warn (did you mean 'review'?)"),
        (f"{RULE}effect = 1", "effect = 1 is not one of deny, review, warn"),
        (f"{RULE}people = 0", "people = 0 is not a whole number from 1 to 20"),
        (f"{RULE}people = true", "people = True is not a whole number"),
        (f"{RULE}approvers = 'ana'", "approvers = 'ana' is not a list of users, groups and roles"),
        (f"{RULE}approvers = ['']", "approvers = [''] is not a list of users, groups"),
        (f"{RULE}approvers = [' ana ']", "approvers = [' ana '] is not a list of users, groups"),
        (f'{RULE}approvers = ["a\\u0007"]', "approvers = ['a\\x07'] is not a list of users, groups"),
        (f"{RULE}author_may_approve = 'no'", "author_may_approve = 'no' is not true or false"),
        (f"{RULE}expires = '2027-01-31'", "expires = '2027-01-31' is not a date without quotes"),
        (f"{RULE}expires = 2027-01-31T00:00:00Z", "is not a date without quotes, such as 2027-01-31"),
        (RULE.replace('["delivery"]', '"delivery"'), "on = 'delivery' is not a list of delivery, table"),
        (RULE.replace('["delivery"]', "[]"), "on = [] is not a list of delivery, table"),
        (RULE.replace('"delivery"', '"tables"'), "(did you mean 'table'?)"),
        (RULE.replace('"delivery"', "1"), "on = [1] is not a list"),
        (RULE.replace('"shift"', '"a b"'), "id = 'a b' is not a name of letters"),
        (RULE.replace('id = "shift"', ""), f"{FILE}: rule 1: `id` is missing (a name of letters"),
        (RULE.replace('message = "predictions move"', ""), "`message` is missing (a text that says"),
        (RULE.replace("on =", "# on ="), "`on` is missing (a list of delivery"),
        (RULE.replace("when =", "# when ="), "rule 'shift': when: it needs either `when` or `function`"),
        (f"{RULE}function = 'a:b'", "when: it needs either `when` or `function`"),
        (f"{RULE}function = 'unusual_cost'", "is not module:name of a function, such as"),
        (RULE.replace('"prediction_shift > 0.1"', "0.1"), "when = 0.1 is not an expression, such as"),
        (RULE.replace("prediction_shift", "shift"),
         f"{FILE}: rule 'shift': when: column 1: there is no fact 'shift'"),
        (RULE.replace("predictions move", "\\t"), "message = '\\t' is not a text"),
        (RULE.replace("predictions move", "x" * 2_001), "that says what to do, of at most 2,000 charac"),
        (f"{RULE}approvers = {[f'u{n}' for n in range(101)]}", "groups and roles (at most 100), such"),
        (f"{RULE}approvers = [{', '.join(['1'] * 60)}]", "1,... is not a list of users"),
        (f"{RULE}approvers = ['role:revewer']", "approvers = ['role:revewer'] is not a list of users"),
    ],
)  # fmt: skip
def test_a_fault_says_what_where_and_what_to_do(text: str | bytes, message: str) -> None:
    found = faults(text)
    assert any(message in fault for fault in found), found


def test_all_faults_are_found_at_once() -> None:
    text = RULE.replace("0.1", "'a'") + RULE.replace("shift", "other").replace("on =", "onn =")
    found = faults(text)
    assert len(found) == 3
    assert {fault.split(": ")[1] for fault in found} == {"rule 'shift'", "rule 'other'"}


def test_groups_of_approvers_are_declared() -> None:
    text = f"{RULE}approvers = ['@ops-leads', 'ana', '@ops-lead']"
    rules = parse_rules(text.encode(), FILE).rules
    assert [*map(str, approver_faults(rules, ["ops-leads"], FILE))] == [
        f"{FILE}: rule 'shift': approvers: there is no group '@ops-lead' (did you mean '@ops-leads'?; "
        "groups are in [tool.tidemill.groups])"
    ]


def test_a_mark_of_utf8_and_line_ends_of_windows_are_read() -> None:
    content = b"\xef\xbb\xbf" + RULE.replace("\n", "\r\n").encode()
    assert parse_rules(content, FILE) == parse_rules(RULE.encode(), FILE)
