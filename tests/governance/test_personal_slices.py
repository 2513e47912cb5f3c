"""Slices of a column with personal data aren't named where values aren't shown."""

from __future__ import annotations

from dataclasses import replace

from tests.lineage.test_dictionary import FLOW, RECIPES
from tests.support.planning import evaluate, flow_of, reads
from tidemill.governance.personal_slices import has_personal_slices, mask_compared, mask_slices
from tidemill.ledger.model_version import MetricComparison
from tidemill.workflow.gate import Scores, Slice

JUDGED = flow_of(*FLOW.stages, evaluate("judged", FLOW["model"], reads(FLOW["raw"])))


def test_a_column_is_personal_where_the_evaluation_reads_it() -> None:
    recipes = {**RECIPES, "judged": RECIPES["model"]}
    found = [
        has_personal_slices(JUDGED, recipes, stage, by)
        for stage, by in (("judged", "mail"), ("judged", "id"), ("judged", ""), ("gone", "id"))
    ]
    assert found == [True, False, False, True]


def test_values_are_masked_and_figures_stay() -> None:
    part = Slice(value="ann@x", rows=3, metrics={"mae": 1.0})
    scores = Scores(rows=3, metrics={"mae": 1.0}, by="mail", slices=(part,))
    assert mask_slices(scores, "-") == replace(scores, slices=(replace(part, value="-"),))


def test_comparisons_are_masked_by_their_column() -> None:
    one = MetricComparison(
        stage="judged", slice="", rows=3, metric="mae", one=1.0, other=2.0, gain=-1.0
    )
    lines = [one, replace(one, slice="mail=ann=x"), replace(one, slice="id=1")]
    found = mask_compared(lines, lambda stage, by: (stage, by) == ("judged", "mail"), "-")
    assert [each.slice for each in found] == ["", "mail=-", "id=1"]
