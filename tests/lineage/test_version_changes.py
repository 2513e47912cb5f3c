"""Which stages compute something else than their earlier versions, and which only read them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.lineage.stage_changes import find_stage_changes, stage_entries
from tidemill.lineage.version_changes import (
    StageEdit,
    StageVersion,
    find_edits,
    find_rule_changes,
    stage_versions,
    versions_as_json,
    versions_from_json,
)
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.gate import beats_baseline, beats_live
from tidemill.workflow.impure import Impure
from tidemill.workflow.review import ReviewTerms
from tidemill.workflow.stage import Approval, Flow
from tidemill.workflow.trigger import every
from tidemill.workflow.window import last

RAW = ingest("raw", start="2026-01-01")
CLEAN = transform("clean", "day", reads(RAW))
MOD = model("mod", reads(CLEAN, last("7d")), retrain=every("7d"), gates=(beats_live("mae"),))
SCORES = evaluate("scores", MOD, reads(CLEAN))
OUT = deliver("out", MOD, CLEAN)
FLOW = flow_of(RAW, CLEAN, MOD, SCORES, OUT)


def versions(flow: Flow, **other: str) -> dict[str, StageVersion]:
    """The versions of a flow; `other` is the code of some stages."""
    recipes = {
        name: Recipe(digest="", parts={"code": other.get(name, "one")}, check="rules")
        for name in flow.names
    }
    return stage_versions(flow, recipes)


def edits(
    before: Flow,
    after: Flow,
    **other: str,
) -> list[StageEdit]:
    moves = find_stage_changes(stage_entries(before), stage_entries(after))
    return list(find_edits(versions(before), versions(after, **other), moves))


def test_nothing_changed() -> None:
    assert edits(FLOW, FLOW) == []


def test_what_reads_a_change_is_named_as_well() -> None:
    found = edits(FLOW, FLOW, clean="two")
    assert [(each.stage, each.what, each.reasons) for each in found] == [
        ("clean", "changed", ("its code changed",)),
        ("mod", "reads", ("reads clean",)),
        ("scores", "reads", ("reads mod, clean",)),
        ("out", "reads", ("reads clean, mod",)),
    ]
    assert all(each.recomputes for each in found)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ((beats_live("mae"), beats_baseline("mae")), ("gate added: beats_baseline(mae)",)),
        (
            (beats_baseline("mae"),),
            ("gate removed: beats_live(mae)", "gate added: beats_baseline(mae)"),
        ),
        ((), ("gate removed: beats_live(mae)",)),
    ],
)
def test_gates_that_came_and_went(gates: tuple[object, ...], said: tuple[str, ...]) -> None:
    assert MOD.approval is not None
    approval = replace(MOD.approval, gates=gates)  # type: ignore[arg-type]
    after = flow_of(RAW, CLEAN, replace(MOD, approval=approval), SCORES, OUT)
    [found] = edits(FLOW, after)
    assert (found.stage, found.what, found.terms) == ("mod", "terms", said)
    # Published data stays as it is.
    assert not found.recomputes


def test_gates_in_another_order() -> None:
    two = Approval(model="mod", gates=(beats_live("mae"), beats_baseline("mae")))
    turned = replace(two, gates=two.gates[::-1])
    before, after = (
        flow_of(RAW, CLEAN, replace(MOD, approval=each), SCORES, OUT) for each in (two, turned)
    )
    [found] = edits(before, after)
    assert found.terms == ("the order of its gates",)


def test_the_terms_of_a_review() -> None:
    assert MOD.approval is not None
    terms = ReviewTerms(by=("ops",), people=2, when="rows > 5")
    after = replace(MOD, approval=replace(MOD.approval, review=terms))
    [found] = edits(FLOW, flow_of(RAW, CLEAN, after, SCORES, OUT))
    assert found.terms == ("review: none -> 2 people of ops when rows > 5",)
    fewer = replace(MOD, approval=replace(MOD.approval, review=ReviewTerms()))
    [found] = edits(
        flow_of(RAW, CLEAN, after, SCORES, OUT), flow_of(RAW, CLEAN, fewer, SCORES, OUT)
    )
    assert found.terms == ("review: 2 people of ops when rows > 5 -> 1 person of its reviewers",)


def test_a_change_of_terms_below_another_change_is_not_lost() -> None:
    after = replace(MOD, training=replace(MOD.training, retrain=None))  # type: ignore[type-var]
    found = edits(FLOW, flow_of(RAW, CLEAN, after, SCORES, OUT), raw="two")
    [changed] = [each for each in found if each.stage == "mod"]
    assert (changed.what, changed.reasons) == ("reads", ("reads clean",))
    assert changed.terms == (f"trigger: {every('7d')} -> none",)


def test_another_window_gives_other_inputs() -> None:
    item = replace(MOD.inputs[0], window=last("9d"))
    after = flow_of(RAW, CLEAN, replace(MOD, inputs=(item,)), SCORES, OUT)
    found = edits(FLOW, after)
    assert [(each.stage, each.what) for each in found] == [
        ("mod", "changed"), ("scores", "reads"), ("out", "reads"),
    ]  # fmt: skip
    assert found[0].terms == (f"windows: clean: {last('7d')} -> clean: {last('9d')}",)


def test_a_stage_that_becomes_impure() -> None:
    after = replace(CLEAN, impure=Impure(every_s=3600.0))
    [found] = edits(flow_of(RAW, CLEAN), flow_of(RAW, after))
    assert (found.what, found.terms) == ("terms", ("impure: none -> it is recomputed after 1h",))


def test_a_long_term_is_shortened() -> None:
    gone = replace(RAW, start="x" * 100)
    [found] = edits(flow_of(RAW), flow_of(gone))
    assert found.terms == (f"start: 2026-01-01 -> {'x' * 57}...",)


def test_new_renamed_and_removed_stages() -> None:
    tidy = transform("tidy", "day", reads(RAW))
    more = transform("more", "day", reads(tidy))
    found = edits(flow_of(RAW, CLEAN, OUT), flow_of(RAW, tidy, more))
    # Two may have become of it, so it counts as removed.
    assert [(each.stage, each.what, each.was) for each in found] == [
        ("tidy", "renamed", "clean"), ("more", "new", ""), ("out", "removed", ""),
    ]  # fmt: skip
    gone = edits(flow_of(RAW, CLEAN, OUT), flow_of(RAW, OUT))
    assert [(each.stage, each.what, each.reasons) for each in gone] == [
        ("clean", "removed", ("out no longer reads it",)),
    ]  # fmt: skip
    assert not gone[0].recomputes


def test_a_stage_of_another_kind() -> None:
    found = edits(flow_of(RAW, CLEAN), flow_of(RAW, ingest("clean")))
    assert [(each.stage, each.what, each.reasons) for each in found] == [
        ("clean", "changed", ("was transform, is ingest",)),
    ]  # fmt: skip


def test_rules_of_a_contract_that_its_values_do_not_show() -> None:
    before = versions(FLOW)
    after = before | {"raw": replace(before["raw"], check="other rules")}
    first, *_ = find_edits(before, after, ())
    assert (first.stage, first.reasons) == ("raw", ("its contract's rules changed",))
    # A stage that no list of moves has, and no earlier version, is new.
    [only] = find_edits({}, {"raw": before["raw"]}, ())
    assert only.what == "new"


def test_another_process_can_tell_of_versions() -> None:
    found = versions(FLOW)
    assert versions_from_json(json.loads(json.dumps(versions_as_json(found)))) == found
    assert found["out"].inputs == ("clean", "mod")


@given(st.sets(st.sampled_from(FLOW.names)))
def test_everything_downstream_of_a_change_is_named(changed: set[str]) -> None:
    """Held against a walk of the edges from each changed stage."""
    found = {each.stage for each in edits(FLOW, FLOW, **dict.fromkeys(changed, "two"))}
    expected, names = set(changed), {*changed}
    while names:
        names = {stage.name for name in names for stage in FLOW.readers(name)} - expected
        expected |= names
    assert found == expected


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {}, ()),
        ({}, {"rule": [{"id": "a"}]}, (("a", "new"),)),
        ({"rule": [{"id": "a"}]}, {}, (("a", "removed"),)),
        ({"rule": [{"id": "a", "when": "x"}]}, {"rule": [{"id": "a"}]}, (("a", "changed"),)),
        ({"rule": [{"id": "a"}]}, {"rule": [{"id": "a"}]}, ()),
        # What isn't a file of rules.
        ({"rule": "a"}, {"rule": ["a", {"id": "b"}]}, (("b", "new"),)),
    ],
)
def test_rules(
    before: dict[str, object], after: dict[str, object], found: tuple[tuple[str, str], ...]
) -> None:
    assert find_rule_changes(before, after) == found
