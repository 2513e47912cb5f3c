"""`tidemill policy`: what users see of rules, decisions and waivers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Ended, tidemill
from tests.support.governed_shop import RULES, governed_shop, record_decision

CASES = """
[facts.delivery]
sampled = false
prediction_shift = 0.02

[[case]]
name = "a sample"
kind = "delivery"
given = { sampled = true }
expect = "deny"
rules = ["no-sample"]

[[case]]
name = "a small shift"
kind = "delivery"
expect = "allow"
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    governed_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policy(*arguments: str, code: int = 0) -> Ended:
    ended = tidemill("policy", *arguments)
    assert ended.code == code, ended.err
    return ended


def document(*arguments: str, code: int = 0) -> Any:
    return json.loads(policy(*arguments, "--json", code=code).out)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_list_shows_rules_with_their_hits(shop: Path) -> None:
    record_decision(shop, "d1", {"sampled": True})
    assert words(policy("list").out) == [
        ["rule", "on", "effect", "when", "hits", "in", "90d"],
        ["no-sample", "delivery", "deny", "sampled", "1"],
        ["shift", "delivery", "review", "by", "2", "prediction_shift", ">", "0.1", "-"],
    ]
    found = document("list")
    assert found["schema"] == "tidemill.policy.rules/1"
    assert [(each["id"], each["hits"]) for each in found["rules"]] == [
        ("no-sample", 1),
        ("shift", 0),
    ]
    (shop / "tidemill.rules.toml").unlink()
    assert policy("list").out == "there are no rules; write them to tidemill.rules.toml\n"


def test_facts_are_listed() -> None:
    assert ["sampled", "bool", "all"] in [line[:3] for line in words(policy("facts").out)]
    named = {each["name"] for each in document("facts", "release")["facts"]}
    assert "broken_rules" in named
    assert "prediction_shift" not in named


def test_a_failed_case_is_shown_with_what_differs(shop: Path) -> None:
    path = shop / "tidemill.rules.test.toml"
    path.write_text(CASES)
    assert policy("test").out == "2 cases: 2 passed, 0 failed\n\nno case covers shift\n"
    path.write_text(CASES.replace("0.02", "0.2"))
    ended = policy("test", code=1)
    assert ended.out == (
        "2 cases: 0 passed, 2 failed\n"
        "\n"
        "FAILED a sample (delivery)\n"
        "  - expected  deny: no-sample\n"
        "  + decided   deny: no-sample, shift\n"
        "    rule shift applies: predictions move: two people look at them\n"
        "\n"
        "FAILED a small shift (delivery)\n"
        "  - expected  allow: any rules\n"
        "  + decided   review: shift\n"
        "    the outcome is review, not allow\n"
        "    rule shift applies (review): predictions move: two people look at them\n"
    )
    found = document("test", code=1)
    assert (found["passed"], found["failed"]) == (0, 2)
    assert found["cases"][1]["decided"] == {"outcome": "review", "rules": ["shift"]}


def test_faulty_rules_are_refused(shop: Path) -> None:
    governed_shop(shop, RULES.replace("sampled", "sampledd"))
    ended = policy("list", code=3)
    assert (
        "rule 'no-sample': when: column 1: there is no fact 'sampledd' (did you mean" in ended.err
    )


def test_a_decision_is_explained(shop: Path) -> None:
    waived = document("waive", "no-sample", "--for", "orders", "--reason", "a trial", "--ttl", "1d")
    record_decision(
        shop, "d1", {"sampled": True, "prediction_shift": 0.25, "worse_slices": ("UA",)}
    )
    text = policy("explain").out
    for part in (
        "d1: delivery of orders in prod was sent to a review, ",
        "asked for by ana in run run-1; subject a1b2; rules ",
        "rule no-sample (deny): train on all rows\n  when      sampled\n  here      True\n",
        f"  waived    by {waived['waiver']['id']}\n",
        "  here      0.25 > 0.1\n",
        "who may approve\n  shift: 2 people of ops-leads, but not ana\n",
        "waivers in force then\n",
        ": a trial\n",
    ):
        assert part in text
    facts = words(text)
    for fact in (["sampled", "true"], ["worse_slices", "UA"], ["cost", "not", "known"]):
        assert fact in facts
    found = document("explain", "d")
    assert (found["id"], found["outcome"], found["current"]) == ("d1", "review", True)
    assert found["facts"]["prediction_shift"] == 0.25


def test_a_decision_that_failed_is_explained(shop: Path) -> None:
    record_decision(shop, "d1", {"sampled": None, "stale": True, "training_rows": 5})
    text = policy("explain", "latest", "orders").out
    assert "  here      (not known)\n" in text
    assert "  error     fact sampled is not known: a rule that can't be evaluated refuses" in text
    assert "rules that didn't apply: shift" in text
    record_decision(shop, "d2", {"worse_slices": tuple("abcdefghijk"), "owner": ""})
    text = policy("explain", "d2").out
    assert "no rule applied" in text
    assert ["owner", '""'] in words(text)
    assert "a, b, c, d, e, f, g, h, ... 3 more" in text
    assert "rules changed" not in text


def test_a_replay_shows_what_would_change(shop: Path) -> None:
    record_decision(shop, "d1", {"prediction_shift": 0.05})
    record_decision(shop, "d2", {"sampled": True})
    new = shop / "new.toml"
    new.write_text(RULES.replace("> 0.1", "> 0.01"))
    text = policy("replay", "--against", "new.toml").out
    assert text.startswith(
        "2 decisions in 90d by new.toml: 1 the same, 1 different, 0 can't be told\n"
    )
    (line,) = [line for line in words(text) if line[:1] == ["d1"]]
    assert line[3:] == ["delivery", "orders", "allow", "review", "+shift"]
    new.write_text(RULES.replace('"sampled"', '"stale or cost > 1"'))
    text = policy("replay", "--against", "new.toml").out
    assert "facts stale, cost weren't recorded" in text
    found = document("replay", "--against", "new.toml")
    assert (found["same"], found["different"], found["unknown"]) == (0, 0, 2)
    assert found["decisions"][0]["unrecorded"] == ["stale", "cost"]
    new.write_text(RULES.replace('"sampled"', '"stale"'))
    assert "fact stale wasn't recorded" in policy("replay", "--against", "new.toml").out
    assert "by the current rules: 2 the same" in policy("replay").out


def test_waivers_are_listed_until_they_end() -> None:
    assert policy("waivers").out == "no waivers\n"
    made = policy("waive", "shift", "--for", "orders", "--reason", "agreed", "--ttl", "14d").out
    id = made.split(":")[0]
    assert ": shift is waived for orders until " in made
    assert made.endswith(": agreed\n")
    (_, line) = words(policy("waivers").out)
    assert (line[0], line[-3:]) == (id, ["in", "force", "agreed"])
    assert [each["rule"] for each in document("list")["rules"][1]["waivers"]] == ["shift"]
    done = policy("unwaive", id, "--reason", "over").out
    assert done.startswith(f"{id} of shift: ended ")
    assert done.endswith(": over\n")
    assert policy("waivers").out == "no waivers\n"
    assert document("waivers", "--all")["waivers"][0]["in_force"] is False
    assert "ended " in policy("waivers", "--all").out
    assert "a waiver ends" in policy("waive", "shift", "--for", "*", "--reason", "x", code=2).err
