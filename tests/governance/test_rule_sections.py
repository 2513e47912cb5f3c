"""What people are told about changes that aren't models, and about rules."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.page_values import page_table, section
from tidemill.governance.rule_sections import plain_sections, rule_section
from tidemill.ledger.policy import FactValue, RuleHit, SubjectKind
from tidemill.testing import records as samples


def test_a_change_of_data_answers_the_same_questions() -> None:
    review = replace(samples.review(), kind=SubjectKind.TABLE, name="out", artifact="")
    facts: dict[str, FactValue] = {
        "moved_rows": 0.25, "broken_consumers": (), "stale": False, "backfill": True, "rows": 1200,
        "sink": "parquet", "owner": None,
    }  # fmt: skip
    decision = replace(samples.policy_decision(), facts=facts)
    parts = {part.title: part for part in plain_sections(review, decision, [])}
    assert list(parts) == [
        "What changes", "Why now", "What gets worse", "How to go back", "Rules and waivers",
        "Facts that the rules saw",
    ]  # fmt: skip
    assert parts["What changes"].lines == ("table out",)
    assert "in run run-1" in parts["Why now"].lines[0]
    assert parts["Why now"].lines[1:] == ("people are asked because: predictions move",)
    assert parts["What gets worse"].lines == ("share of the published rows that change: 0.25",)
    assert parts["How to go back"].lines == ("reject it, and nothing changes",)
    assert parts["Facts that the rules saw"].lines == (
        "the digest of exactly this change is subject",
    )
    table = parts["Facts that the rules saw"].table
    assert table is not None
    assert table.rows == (
        ("backfill", "yes"), ("broken_consumers", "none"), ("moved_rows", "0.25"), ("owner", "not known"),
        ("rows", "1200"), ("sink", "parquet"), ("stale", "no"),
    )  # fmt: skip


def test_without_a_decision_of_rules_little_is_known() -> None:
    review = replace(samples.review(), author="", run="")
    parts = {part.title: part for part in plain_sections(review, None, [])}
    assert parts["Facts that the rules saw"].table == page_table(("fact", "value"), [])
    assert parts["Why now"].lines[0].startswith("nobody known asked for it on ")
    assert parts["What gets worse"].lines == (
        "nothing that is recorded gets worse; the facts are below",
    )
    assert parts["How to go back"].lines == ("reject it, and nothing changes",)


def test_the_detail_of_a_change_is_shown() -> None:
    facts: dict[str, FactValue] = {"broken_rules": ("few",), "moved_rows": 0.5, "owner": ""}
    decision = replace(samples.policy_decision(), facts=facts)
    detail = ChangeDetail(
        changes=("rows change",), worse=("rows are gone",), back=("restore it",),
        commands=("tidemill restore out run-1",), sections=(section("Rows", ["a"]),),
        missing=("the columns",),
    )  # fmt: skip
    parts = {part.title: part for part in plain_sections(samples.review(), decision, [], detail)}
    assert parts["What changes"].lines == ("rows change",)
    assert parts["What gets worse"].lines == (
        "rows are gone", "share of the published rows that change: 0.5",
    )  # fmt: skip
    assert parts["How to go back"].commands == ("tidemill restore out run-1",)
    assert (parts["Rows"].lines, parts["Not known"].lines) == (("a",), ("the columns",))
    told = plain_sections(samples.review(), decision, [], replace(detail, worse=()))
    assert told[2].lines == (
        "rules that the rows break: few", "share of the published rows that change: 0.5",
    )  # fmt: skip


def test_rules_that_could_not_be_evaluated_are_named() -> None:
    hit = RuleHit(rule="cost", effect="deny", message="dear", error="cost isn't known")
    named = RuleHit(rule="pii", effect="review", message="m", approvers=("leads",), people=2)
    decision = replace(samples.policy_decision(), hits=(hit, named))
    table = rule_section(decision, []).table
    assert table is not None
    assert table.rows == (
        ("cost", "deny: cost isn't known", "dear", "-"),
        ("pii", "review", "m", "2 of leads"),
    )
    assert rule_section(None, []).is_empty
