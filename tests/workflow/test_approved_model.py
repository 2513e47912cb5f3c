"""Approvals of models, and what takes an approved model."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.workflow.approved_model import approval_faults, approved_model_faults


def mod() -> tm.Fitted:
    raise NotImplementedError


GATES = [tm.beats_baseline("mae")]


def test_an_approval_names_a_model_has_gates_and_is_the_only_one() -> None:
    flow = tm.Workflow("shop")
    flow.approve(mod, gates=[])
    flow.approve(mod, gates=GATES)
    messages = [fault.message for fault in approval_faults(flow, {})]
    assert messages == [
        "approve(mod): this workflow has no such model",
        "approve(mod) has no gates, so any model would pass",
        f"approve(mod) is declared twice, first at {flow.approvals[0].place}",
        "approve(mod): this workflow has no such model",
    ]


def test_a_review_is_made_by_its_function() -> None:
    flow, wrong = tm.Workflow("shop"), tm.Workflow("other")
    approval = flow.approve(mod, gates=GATES, review=tm.review(by="ops"))
    assert approval.review == tm.review(by="ops")
    mistaken: Any = "ops"
    wrong.approve(mod, gates=GATES, review=mistaken)
    messages = [fault.message for fault in approval_faults(wrong, {})]
    assert messages[-1] == "approve(mod): review='ops' was not made by tm.review()"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (mod, " takes the model 'mod', which is not approved"),
        (None, " takes the model 'None', which is not approved"),
        (
            tm.Workflow("other").approve(mod, gates=GATES),
            " takes an approval of 'mod' by another workflow",
        ),
    ],
)
def test_a_model_must_be_approved_by_its_workflow(model: Any, says: str) -> None:
    flow = tm.Workflow("shop")
    live = flow.approve(mod, gates=GATES)
    assert [message for message, _ in approved_model_faults(model, flow)] == [says]
    assert list(approved_model_faults(live, flow)) == []
