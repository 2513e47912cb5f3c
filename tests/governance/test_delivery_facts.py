"""The facts about a candidate: each is what was recorded, or not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.governance.common_facts import ChangeContext
from tidemill.governance.delivery_facts import CandidateEvidence, delivery_facts, normal_name
from tidemill.governance.facts import known_facts, specs_of
from tidemill.ledger.policy import FactValue, SubjectKind
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.testing import records as samples
from tidemill.workflow.gate import GateResult, Scores, Slice
from tidemill.workflow.memo import MemoUsage

CONTEXT = ChangeContext(
    workflow="flights", environment="prod", author="ana", owner="ops", keeps=True, budget=True
)
CANDIDATE = replace(
    samples.model_artifact("new"),
    packages={"python": "3.12", "scikit-learn": "1.5", "Polars": "1.2"},
)
LIVE = samples.model_artifact("old")
PASSED = GateResult(gate="beats_live(mae)", passed=True, evidence="")


def training(*reasons: str, cpu_s: float = 1800.0, spent: float = 0.0) -> Attempt:
    memo = MemoUsage(spent=spent) if spent else None
    return Attempt(
        stage="delay_model", partition="all", action=Action.TRAIN, outcome=Outcome.OK,
        reasons=reasons, cpu_s=cpu_s, memo=memo,
    )  # fmt: skip


def evidence(**changed: Any) -> CandidateEvidence:
    given: dict[str, Any] = {
        "artifact": CANDIDATE,
        "live": LIVE,
        "results": (PASSED,),
        "scores": {"scores": samples.scores(9.0)},
        "live_scores": {"scores": samples.scores(9.0)},
        "metrics": ("mae",),
        "training": (training("data changed"),),
        "price": Price(cpu_hour=2.0),
        "personal": ("features.id",),
        "pinned": {"Scikit_Learn"},
        "stale": False,
        **changed,
    }
    return CandidateEvidence(**given)


def fact(name: str, **changed: Any) -> FactValue:
    return delivery_facts(CONTEXT, evidence(**changed))[name]


def test_every_declared_fact_has_a_value_of_its_type() -> None:
    found = delivery_facts(CONTEXT, evidence())
    assert found.keys() == specs_of(SubjectKind.DELIVERY).keys()
    assert known_facts(SubjectKind.DELIVERY, found) == found
    assert None not in found.values()


def test_a_first_delivery_changes_no_prediction() -> None:
    found = delivery_facts(CONTEXT, evidence(live=None, live_scores=None))
    assert (found["first_delivery"], found["prediction_shift"]) == (True, 0.0)
    assert (found["worse_slices"], found["code_changed"], found["automatic"]) == ((), False, False)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("prediction_shift", {"live_scores": None}),
        ("prediction_shift", {"live_scores": {"other": samples.scores()}}),
        ("prediction_shift", {"scores": {}}),
        ("prediction_shift", {"scores": {"scores": replace(samples.scores(), predictions=None)}}),
        ("worse_slices", {"live_scores": None}),
        ("worse_slices", {"metrics": ("other.mae",)}),
        ("unpinned_packages", {"pinned": None}),
        ("unpinned_packages", {"artifact": replace(CANDIDATE, packages={})}),
        ("cost", {"price": Price()}),
        ("cost", {"training": None}),
        ("cost", {"training": (training(cpu_s=float("inf")),)}),
        ("automatic", {"training": ()}),
        ("evaluation_rows", {"scores": {}}),
        ("personal_columns", {"personal": None}),
        ("stale", {"stale": None}),
    ],
)
def test_what_is_not_recorded_is_not_known(name: str, changed: dict[str, Any]) -> None:
    assert fact(name, **changed) is None


def test_the_largest_shift_of_the_evaluations_counts() -> None:
    same, moved = _numbers(samples.scores(9.0)), _numbers(samples.scores(500.0))
    scores, theirs = {"a": same, "b": moved}, {"a": same, "b": same}
    assert fact("prediction_shift", scores=scores, live_scores=theirs) == 1.0
    assert fact("prediction_shift", scores=theirs, live_scores=theirs) == 0.0
    # The live model itself moves nothing.
    assert fact("prediction_shift", live=CANDIDATE, live_scores=None) == 0.0


def _numbers(scores: Scores) -> Scores:
    assert scores.predictions is not None
    return replace(scores, predictions=replace(scores.predictions, categories=None))


def test_slices_are_worse_by_a_metric_of_the_gates() -> None:
    def split(**maes: float) -> Scores:
        parts = tuple(Slice(value=k, rows=40, metrics={"mae": v}) for k, v in maes.items())
        return Scores(rows=80, metrics={"mae": 1.0}, by="carrier", slices=parts)

    mine, live = {"s": split(AA=1.0, UA=3.0)}, {"s": split(AA=2.0, UA=2.0)}
    worse = ("carrier=UA",)
    assert fact("worse_slices", scores=mine, live_scores=live) == worse
    assert fact("worse_slices", scores=mine, live_scores=live, metrics=("s.mae", "mae")) == worse
    assert fact("worse_slices", scores=mine, live_scores=mine) == ()
    whole = {"s": replace(mine["s"], by="", slices=())}
    assert fact("worse_slices", scores=whole, live_scores=live) == ()


def test_packages_are_pinned_under_any_spelling() -> None:
    assert fact("unpinned_packages") == ("Polars",)
    assert fact("unpinned_packages", pinned={"polars", "scikit.learn"}) == ()
    assert normal_name("Scikit__Learn.x") == "scikit-learn-x"


def test_the_training_costs_all_its_attempts() -> None:
    tried = (training(), training(spent=0.25))
    assert fact("cost", training=tried) == pytest.approx(2.25)


def test_a_training_is_automatic_if_no_person_and_no_code_led_to_it() -> None:
    assert fact("automatic") is True
    assert fact("automatic", training=(training("training requested"),)) is False
    other = replace(CANDIDATE, recipe="other")
    assert fact("automatic", artifact=other) is False
    assert (fact("code_changed"), fact("code_changed", artifact=other)) == (False, True)


def test_a_sample_is_that_of_the_environment_or_of_the_training() -> None:
    assert fact("sampled") is False
    assert fact("sampled", sample=0.1) is True
    context = replace(CONTEXT, sample=0.1)
    assert delivery_facts(context, evidence())["sampled"] is True
