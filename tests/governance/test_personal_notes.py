"""`check` says where values of personal data name partitions and slices."""

from __future__ import annotations

from dataclasses import replace

from tests.lineage.test_dictionary import FLOW, RECIPES, table
from tests.support.planning import evaluate, flow_of, model, reads, transform
from tidemill.governance.personal_notes import personal_notes
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.gate import beats_baseline, no_slice_worse


def test_partitions_by_a_personal_column_are_named() -> None:
    raw = FLOW["raw"]
    assert raw.output is not None
    columns = [
        replace(column, partition="value" if column.pii else None) for column in raw.output.columns
    ]
    by_mail = replace(raw, output=replace(raw.output, columns=tuple(columns)))
    flow = replace(FLOW, stages=(by_mail, *FLOW.stages[1:]))
    [note] = personal_notes(flow, RECIPES)
    assert note.startswith("raw: its partitions are named by the values of 'mail'")
    assert [*personal_notes(FLOW, RECIPES)] == []


def test_a_mark_that_a_later_contract_forgot_is_named() -> None:
    raw = FLOW["raw"]
    later = table(transform("later", "day", reads(raw)), "id", "mail")
    lineage = {"id": {"raw": ("id",)}, "mail": {"raw": ("mail",)}}
    recipes = {**RECIPES, "later": Recipe(digest="8", lineage=lineage, reads={"raw": ("mail",)})}
    [note] = personal_notes(flow_of(raw, later), recipes)
    assert note.startswith("later: its contract has no pii= for mail, which an earlier one has")
    marked = table(later, "id", "mail", pii="mail")
    assert [*personal_notes(flow_of(raw, marked), recipes)] == []


def test_gates_over_slices_of_a_personal_column_are_named() -> None:
    raw = FLOW["raw"]
    gates = (
        beats_baseline("mae"),
        no_slice_worse("mae", over="mail", by=0.1),
        no_slice_worse("rmse", over="mail", by=0.1),
        no_slice_worse("mae", over="id", by=0.1),
    )
    judged = model("judged", reads(raw), gates=gates)
    recipes = {**RECIPES, "judged": RECIPES["model"], "scores": RECIPES["model"]}
    flow = flow_of(raw, judged, evaluate("scores", judged, reads(raw)))
    [note] = personal_notes(flow, recipes)
    assert "judged: the verdicts of its gate no_slice_worse(over='mail')" in note
