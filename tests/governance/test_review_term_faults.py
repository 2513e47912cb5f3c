"""A review whose condition isn't one is refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import tidemill as tm
from tests.support.planning import flow_of, ingest, model, reads
from tidemill.governance.review_term_faults import review_term_faults
from tidemill.workflow.stage import Approval, Flow

RAW = ingest("raw")


def approved(when: str, **terms: Any) -> Flow:
    review = tm.review(when=when, **terms)
    approval = Approval(model="model", place="flow.py:3", review=review)
    return flow_of(RAW, replace(model("model", reads(RAW)), approval=approval))


def test_conditions_over_facts_of_deliveries_are_fine() -> None:
    assert [*review_term_faults(approved("prediction_shift > 0.1 or first_delivery"))] == []
    assert [*review_term_faults(approved(""))] == []
    assert [*review_term_faults(flow_of(RAW, model("model", reads(RAW))))] == []


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("prediction_shfit > 0.1", "prediction_shift"),
        ("moved_rows > 0.1", "moved_rows"),
        ("prediction_shift > 'much'", "approve(model): review when=: column"),
        ("import os", "approve(model): review when=: "),
    ],
)
def test_other_conditions_are_refused(when: str, said: str) -> None:
    [fault] = review_term_faults(approved(when))
    assert said in f"{fault.message} {fault.hint}"
    assert fault.where == "flow.py:3"


def test_groups_that_are_asked_are_declared() -> None:
    terms: dict[str, Any] = {"within": "1h", "on_timeout": "escalate", "escalate_to": "@heads"}
    flow = approved("first_delivery", by=["@laeds", "ana", "role:admin"], **terms)
    first, second = map(str, review_term_faults(flow, ["leads", "privacy"]))
    assert (
        "flow.py:3: approve(model): review: there is no group '@laeds' (did you mean '@leads'?"
        in first
    )
    assert "there is no group '@heads'" in second
    assert [*review_term_faults(flow, ["laeds", "heads"])] == []
