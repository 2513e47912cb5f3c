"""The policy of a project: rules, waivers, tests, explanations and replays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import tidemill
from tests.support.governed_shop import RULES, governed_shop, record_decision
from tidemill.core.errors import AccessError, DeclarationError, StorageError, UsageError
from tidemill.governance.policy import rule_set
from tidemill.governance.policy_replay import ReplayVerdict
from tidemill.governance.rules_file import parse_rules
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import PolicyDecided, RulesLoaded
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ledger.policy import PolicyOutcome
from tidemill.project.policy import Policy
from tidemill.project.project import Project, open_project
from tidemill.testing.records import run_started_event

STRICTER = RULES.replace("> 0.1", "> 0.01")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    governed_shop(tmp_path)
    return tmp_path


@pytest.fixture
def project(shop: Path) -> Iterator[Project]:
    opened = open_project(shop)
    yield opened
    opened.close()


@pytest.fixture
def policy(project: Project) -> Policy:
    return project.policy


def test_rules_are_listed_with_their_hits(shop: Path) -> None:
    record_decision(shop, "d0", {"sampled": True}, ago=100 * 86_400)
    record_decision(shop, "d1", {"sampled": True})
    record_decision(shop, "d2", {"sampled": True, "prediction_shift": 0.3})
    opened = open_project(shop)
    waiver = opened.policy.waive("shift", "orders", reason="agreed", ttl="1h")
    record_decision(shop, "d3", {"prediction_shift": 0.3})
    listed = {each.rule.id: each for each in opened.policy.list()}
    assert {id: each.hits for id, each in listed.items()} == {"no-sample": 2, "shift": 2}
    assert {id: each.waived for id, each in listed.items()} == {"no-sample": 0, "shift": 1}
    assert listed["shift"].waivers == (waiver,)
    assert [each.hits for each in opened.policy.list("200d")] == [3, 2]
    opened.close()


def test_facts_are_those_of_a_kind(policy: Policy) -> None:
    assert {spec.name for spec in policy.facts("release")} > {"share", "broken_rules", "owner"}
    assert len(policy.facts()) > len(policy.facts("delivery"))
    with pytest.raises(UsageError, match="did you mean 'delivery'"):
        policy.facts("deliveries")


def test_a_waiver_lifts_its_rule_until_it_ends(shop: Path, policy: Policy) -> None:
    assert record_decision(shop, "d1", {"sampled": True}).outcome == PolicyOutcome.DENY
    made = policy.waive("no-sample", "ord*", reason=" a test of the sample ", ttl="2h")
    assert (made.actor, made.reason) == (this_user(), "a test of the sample")
    assert made.expires - made.at == 7200
    decision = record_decision(shop, "d2", {"sampled": True})
    assert decision.outcome == PolicyOutcome.ALLOW
    assert decision.hits[0].waiver == made.id
    ended = policy.unwaive(made.id, reason="done")
    assert (ended.in_force, ended.ended_by, ended.reason) == (False, this_user(), "done")
    assert record_decision(shop, "d3", {"sampled": True}).outcome == PolicyOutcome.DENY
    assert policy.unwaive(made.id, reason="again").reason == "done"


def test_a_waiver_until_a_day_ends_with_it(policy: Policy, project: Project) -> None:
    day = datetime.fromtimestamp(project.tools.clock(), UTC).date() + timedelta(days=9)
    made = policy.waive("shift", "prod", reason="why", until=day.isoformat())
    end = datetime.combine(day + timedelta(days=1), time(), UTC)
    assert made.expires == end.timestamp()
    assert policy.waive("shift", "orders", reason="why", until=day).expires == made.expires


def test_an_expired_waiver_stays_so_when_the_clock_goes_back(
    shop: Path, policy: Policy, project: Project
) -> None:
    made = policy.waive("no-sample", "*", reason="why", ttl="1d")
    ledger, later = project.tools.ledger, made.expires + 1
    ledger.append([run_started_event("r1")], now=later)
    assert [state.has_expired for state in policy.waivers()] == [True]
    assert record_decision(shop, "d1", {"sampled": True}).outcome == PolicyOutcome.DENY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "no-smple"}, "there is no rule 'no-smple' (did you mean 'no-sample'?)"),
        ({"scope": "order"}, "'order' matches no stage, model or environment (did you mean 'orders'?)"),
        ({"reason": " "}, "a waiver needs a reason"),
        ({"reason": "x" * 4001}, "say why: a waiver needs a reason of 1 to 4,000 characters"),
        ({"reason": "\u200b\0"}, "say why: a waiver needs a reason"),
        ({"ttl": 1e-9}, "1e-09 is over: a waiver ends later than it begins"),
        (
            {"ttl": None},
            "a waiver ends: name its last day (`--until DATE`), or how long it lasts (`--ttl TIME`)",
        ),
        ({"until": "2027-01-31"}, "a waiver ends: name"),
        ({"ttl": "soon"}, "'soon' is not a duration"),
        ({"ttl": "-1d"}, "'-1d' is not a duration"),
        ({"ttl": "0d"}, "'0d' is not a duration"),
        ({"ttl": "1000000000d"}, "1000000000d is more than a year"),
        ({"scope": "["}, "'[' matches no stage, model or environment"),
        ({"scope": ""}, "'' matches no stage, model or environment"),
        ({"ttl": "400d"}, "400d is more than a year"),
        ({"ttl": None, "until": "31.1.2027"}, "'31.1.2027' is not a date, such as 2027-01-31"),
        ({"ttl": None, "until": "2020-01-31"}, "2020-01-31 is over"),
        ({"ttl": None, "until": "9999-12-31"}, "9999-12-31 is too far away"),
        ({"ttl": None, "until": date(2999, 1, 1)}, "2999-01-01 is more than a year"),
    ],
)  # fmt: skip
def test_a_waiver_that_cant_be_given(policy: Policy, options: dict[str, Any], message: str) -> None:
    given = {"rule": "shift", "scope": "orders", "reason": "why", "ttl": "1d", **options}
    with pytest.raises(UsageError) as caught:
        policy.waive(given.pop("rule"), given.pop("scope"), **given)
    assert message in str(caught.value)
    assert policy.waivers() == ()


def test_only_who_has_the_role_waives_rules(shop: Path) -> None:
    settings = shop / "pyproject.toml"
    roles = f'[tool.tidemill.roles]\n"{this_user()}" = "reviewer"\nana = "admin"\n'
    settings.write_text(settings.read_text() + roles)
    opened = open_project(shop)
    with pytest.raises(AccessError, match="may not waive a rule"):
        opened.policy.waive("shift", "orders", reason="why", ttl="1d")
    with pytest.raises(AccessError, match="may not waive a rule"):
        opened.policy.unwaive("w1")
    assert opened.policy.waivers() == ()
    opened.close()


def test_an_unknown_waiver_cant_be_ended(policy: Policy) -> None:
    with pytest.raises(UsageError, match="there is no waiver 'w1'"):
        policy.unwaive("w1")


def test_a_decision_is_found_by_the_start_of_its_id(shop: Path, policy: Policy) -> None:
    with pytest.raises(UsageError, match="no decision is recorded in prod"):
        policy.explain()
    record_decision(shop, "aa1", {"sampled": True})
    record_decision(shop, "aa2", {"prediction_shift": 0.5}, name="demand")
    assert policy.explain().decision.id == "aa2"
    assert policy.explain("latest", "orders").decision.id == "aa1"
    found = policy.explain("aa1")
    assert [each.values for each in found.rules] == ["True"]
    assert found.current
    record_decision(shop, "aa11", {"sampled": True})
    assert policy.explain("aa1").decision.id == "aa1"
    for id, message in (
        ("aa", "3 decisions begin with 'aa': aa1, aa2, aa11"),
        ("b", "there is no decision 'b'"),
        ("orders", "'orders' is not the id of a decision; say `latest orders`"),
    ):
        with pytest.raises(UsageError, match=message):
            policy.explain(id)
    with pytest.raises(
        UsageError, match=r"no decision on 'order' is recorded \(did you mean 'orders'"
    ):
        policy.explain("latest", "order")


def test_a_decision_is_explained_by_the_rules_of_then(shop: Path) -> None:
    record_decision(shop, "d1", {"prediction_shift": 0.5})
    governed_shop(shop, RULES.replace("prediction_shift > 0.1", "stale"))
    opened = open_project(shop)
    found = opened.policy.explain("d1")
    assert not found.current
    assert [each.when for each in found.rules] == ["prediction_shift > 0.1"]
    assert found.approvals == ("shift: 2 people of ops-leads, but not ana",)
    opened.close()


def test_rules_that_cant_be_read_any_more_explain_nothing(shop: Path, project: Project) -> None:
    record_decision(shop, "d1", {"sampled": True})
    known = project.policy.explain("d1").decision
    lost, odd = replace(known, id="d2", rules="lost"), replace(known, id="d3", rules="odd")
    where = project.environment
    events: list[Event] = [
        RulesLoaded(environment=where, rules="odd", text="[["),
        *(PolicyDecided(environment=where, decision=each) for each in (lost, odd)),
    ]
    project.tools.ledger.append(events, now=project.tools.clock())
    for id in ("d2", "d3"):
        found = project.policy.explain(id)
        assert [(each.hit.rule, each.when) for each in found.rules] == [("no-sample", "")]
        assert found.altered is (id == "d3")


def test_rules_whose_text_an_erasure_changed_are_said_to_be_altered(
    shop: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_decision(shop, "d1", {"prediction_shift": 0.5})
    known = project.policy.explain("d1").decision
    where = project.environment
    for id, name, shown_now in (("e1", "cleo", "cleo"), ("e2", "app", "erased person 0f")):
        text = RULES.replace("ops-leads", name)
        rules = rule_set(parse_rules(text.encode(), "rules.toml").rules).digest
        stored = text.replace(f'"{name}"', f'"{shown_now}"')
        loaded = RulesLoaded(environment=where, rules=rules, text=stored)
        decided = PolicyDecided(environment=where, decision=replace(known, id=id, rules=rules))
        project.tools.ledger.append([loaded, decided], now=project.tools.clock())
    assert not project.policy.explain("e1").altered
    found = project.policy.explain("e2")
    assert found.altered
    assert [each.when for each in found.rules] == ["prediction_shift > 0.1"]
    monkeypatch.chdir(shop)
    shown = tidemill("policy", "explain", "e2").out
    assert "the recorded text of these rules isn't what decided: a name in it was erased" in shown


def test_a_replay_finds_what_other_rules_decide(shop: Path, policy: Policy, tmp_path: Path) -> None:
    record_decision(shop, "old", {"prediction_shift": 0.05}, ago=91 * 86_400)
    record_decision(shop, "d1", {"prediction_shift": 0.05})
    record_decision(shop, "d2", {"prediction_shift": 0.0})
    assert {each.verdict for each in policy.replay()} == {ReplayVerdict.SAME}
    other = tmp_path / "new.toml"
    other.write_text(STRICTER)
    found = {each.then.id: each.verdict for each in policy.replay(other)}
    assert found == {"d1": ReplayVerdict.DIFFERENT, "d2": ReplayVerdict.SAME}
    assert len(policy.replay(other, "100d")) == 3
    other.write_text(RULES.replace("sampled", "stale"))
    assert {each.verdict for each in policy.replay(other)} == {ReplayVerdict.UNKNOWN}
    with pytest.raises(UsageError, match="there is no file"):
        policy.replay(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="is not a duration"):
        policy.replay(since="forever")


def test_cases_are_those_of_both_files(shop: Path, policy: Policy) -> None:
    with pytest.raises(UsageError, match="there are no cases: add"):
        policy.test()
    facts = "[facts.delivery]\nsampled = false\nprediction_shift = 0\n"
    case = '[[case]]\nkind = "delivery"\nexpect = "allow"\n'
    (shop / "tidemill.rules.test.toml").write_text(facts + case)
    with (shop / "tidemill.rules.toml").open("a") as file:
        file.write(f"{case.replace('allow', 'deny')}missing = ['sampled']\n")
    found = policy.test()
    assert [each.passed for each in found.results] == [False, True]
    assert found.uncovered == ("no-sample", "shift")
    (shop / "tidemill.rules.test.toml").write_text(f"cases = 1\n{case}given = {{ sampld = true }}")
    with pytest.raises(DeclarationError) as caught:
        policy.test()
    assert "did you mean 'case'?" in str(caught.value)
    assert "did you mean 'sampled'?" in str(caught.value)


def test_check_and_plan_refuse_faulty_rules(shop: Path) -> None:
    governed_shop(shop, RULES.replace("sampled", "samplet"))
    opened = open_project(shop)
    for refuse in (opened.check, opened.plan):
        with pytest.raises(DeclarationError, match="no fact 'samplet'"):
            refuse()
    opened.close()


def test_check_refuses_a_group_that_isnt_declared(shop: Path) -> None:
    governed_shop(shop, RULES.replace('"ops-leads"', '"@ops-leads"'))
    opened = open_project(shop)
    with pytest.raises(DeclarationError, match="there is no group '@ops-leads'"):
        opened.check()
    opened.close()
    settings = shop / "pyproject.toml"
    roles = '[tool.tidemill.roles]\n"*" = "admin"\n[tool.tidemill.groups]\nops-leads = ["ana"]\n'
    settings.write_text(settings.read_text() + roles)
    opened = open_project(shop)
    opened.check()
    opened.close()


def test_check_names_rules_that_no_longer_apply(shop: Path) -> None:
    governed_shop(shop, f"{RULES}expires = 2020-01-31\n")
    opened = open_project(shop)
    assert any("rule shift in tidemill.rules.toml no longer applies" in n for n in opened.check())
    assert [each.expired for each in opened.policy.list()] == [False, True]
    opened.close()


def test_rules_dont_end_unseen(shop: Path) -> None:
    record_decision(shop, "d1")
    path = shop / "tidemill.rules.toml"
    path.unlink()
    opened = open_project(shop)
    assert any("there are no rules any more" in note for note in opened.check())
    assert opened.policy.list() == ()
    opened.close()
    path.symlink_to(shop / "gone.toml")
    opened = open_project(shop)
    with pytest.raises(StorageError, match=r"tidemill\.rules\.toml can't be read: No such file"):
        opened.plan()
    opened.close()
