"""What gates say: a missing fact is a refusal, never a pass."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.delivery import EXPIRY, Decision
from tidemill.models.gates import (
    evaluate_gates,
    judged_baseline,
    judged_basis,
    last_decision,
    lift_refusals,
    measured_evidence,
    refusal_message,
    standing_decision,
    subject_of,
)
from tidemill.models.recorded_facts import RecordedFacts
from tidemill.testing.records import binding, model_artifact, product
from tidemill.workflow.gate import (
    GateResult,
    ScoreGate,
    Scores,
    Slice,
    beats_baseline,
    beats_live,
    no_slice_worse,
)
from tidemill.workflow.model_gates import golden, latency
from tidemill.workflow.own_gate import gate as own_gate
from tidemill.workflow.recorded_gates import calibrated, size
from tidemill.workflow.stage import Approval, Kind, Stage

NAN, INF = math.nan, math.inf
MISSING = "; not finite over 100 rows: a prediction is missing, or their labels don't define it"


def of(mae: float | None, *slices: tuple[str, int, float | None], by: str = "carrier") -> Scores:
    """Scores with one metric, or with another when there is none."""
    parts = tuple(Slice(value=v, rows=n, metrics=_metrics(x)) for v, n, x in slices)
    return Scores(rows=100, metrics=_metrics(mae), by=by if slices else "", slices=parts)


def _metrics(value: float | None) -> dict[str, float]:
    return {"rmse": 1.0} if value is None else {"mae": value}


LIVE, BASE = beats_live("mae"), beats_baseline("mae")
MORE = beats_live("mae", by=0.1, higher_is_better=True)
EVEN = no_slice_worse("mae", over="carrier", by=0.1)
MORE_EVEN = no_slice_worse("mae", over="carrier", by=0.1, higher_is_better=True)
UA = ("UA", 50, 10.0)
CASES: list[tuple[ScoreGate, Scores, Scores | None, Scores | None, bool, str]] = [
    # gate, candidate, live, baseline, passed, evidence
    (LIVE, of(9.0), of(10.0), None, True, "9 against 10 of live"),
    (LIVE, of(10.0), of(10.0), None, True, "10 against 10 of live"),
    (LIVE, of(10.1), of(10.0), None, False, "10.1 against 10 of live"),
    (LIVE, of(9.0), None, None, True, "9, no live model to compare with"),
    (LIVE, of(NAN), None, None, False, "nan, no live model to compare with" + MISSING),
    (LIVE, of(None), None, None, False, "nan, no live model to compare with" + MISSING),
    (LIVE, of(None), of(10.0), None, False, "there is no metric 'mae' among rmse"),
    (LIVE, of(9.0), of(None), None, False, "9 against nan of live"),
    (LIVE, of(NAN), of(10.0), None, False, "nan against 10 of live" + MISSING),
    (LIVE, of(9.0), of(NAN), None, False, "9 against nan of live"),
    (LIVE, of(INF), of(10.0), None, False, "inf against 10 of live" + MISSING),
    # No figure is infinitely good.
    (LIVE, of(-INF), of(INF), None, False, "-inf against inf of live" + MISSING),
    (LIVE, of(INF), None, None, False, "inf, no live model to compare with" + MISSING),
    (MORE, of(INF), of(10.0), None, False, "inf against 10 of live" + MISSING),
    (LIVE, of(9.0), of(INF), None, True, "9 against inf of live"),
    (beats_live("mae", by=0.1), of(9.0), of(10.0), None, True, "9 against 10 of live"),
    (beats_live("mae", by=0.1), of(9.1), of(10.0), None, False, "9.1 against 10 of live"),
    (MORE, of(11.0), of(10.0), None, True, "11 against 10 of live"),
    (MORE, of(10.9), of(10.0), None, False, "10.9 against 10 of live"),
    # Better than a negative metric by a share is nearer to good, not farther.
    (MORE, of(-10.5), of(-10.0), None, False, "-10.5 against -10 of live"),
    (MORE, of(-9.0), of(-10.0), None, True, "-9 against -10 of live"),
    (beats_live("mae", by=0.1), of(-10.5), of(-10.0), None, False, "-10.5 against -10 of live"),
    (BASE, of(9.0), None, of(10.0), True, "9 against 10 of the baseline"),
    (BASE, of(10.0), None, of(10.0), False, "10 against 10 of the baseline"),
    (BASE, of(9.0), of(1.0), None, False, "the baseline has no scores"),
    (BASE, of(NAN), None, of(10.0), False, "nan against 10 of the baseline" + MISSING),
    (EVEN, of(9.0, ("UA", 50, 11.0)), of(9.0, UA), None, True,
     "none of 1 slice is worse by more than 10%"),
    (EVEN, of(9.0, ("UA", 50, 11.1)), of(9.0, UA), None, False,
     "worse by more than 10% in 1 of 1 (UA: 11.1 against 10)"),
    (EVEN, of(9.0, ("UA", 50, NAN)), of(9.0, UA), None, False,
     "worse by more than 10% in 1 of 1 (UA: nan against 10)"),
    (EVEN, of(9.0, ("UA", 50, None)), of(9.0, UA), None, False,
     "worse by more than 10% in 1 of 1 (UA: nan against 10)"),
    (EVEN, of(9.0, UA), of(9.0, ("UA", 50, NAN)), None, False,
     "worse by more than 10% in 1 of 1 (UA: 10 against nan)"),
    # Few rows, or a slice that the live model never had, say nothing.
    (EVEN, of(9.0, UA, ("YV", 29, 99.0), ("HA", 50, 99.0)), of(9.0, UA, ("YV", 50, 1.0)), None, True,
     "none of 1 slice is worse by more than 10%"),
    (EVEN, of(9.0, ("YV", 29, 1.0)), of(9.0, ("YV", 50, 1.0)), None, False,
     "no slice of at least 30 rows and a figure to compare; evaluate on more rows, or lower min_rows="),
    # All labels of a slice are equal.
    (EVEN, of(9.0, UA, ("YV", 50, NAN)), of(9.0, UA, ("YV", 50, NAN)), None, True,
     "none of 1 slice is worse by more than 10%"),
    (EVEN, of(9.0, ("YV", 50, NAN)), of(9.0, ("YV", 50, NAN)), None, False,
     "no slice of at least 30 rows and a figure to compare; evaluate on more rows, or lower min_rows="),
    (EVEN, of(9.0, UA), None, None, True, "no live model to compare with"),
    (EVEN, of(NAN, UA), None, None, False, "nan, no live model to compare with" + MISSING),
    (EVEN, of(9.0, UA, by="origin"), of(9.0, UA), None, False,
     "the evaluation splits by origin, not by carrier"),
    (EVEN, of(9.0), None, None, False, "the evaluation splits by nothing, not by carrier"),
    (MORE_EVEN, of(9.0, ("UA", 50, 9.0)), of(9.0, UA), None, True,
     "none of 1 slice is worse by more than 10%"),
    (MORE_EVEN, of(9.0, ("UA", 50, 8.9)), of(9.0, UA), None, False,
     "worse by more than 10% in 1 of 1 (UA: 8.9 against 10)"),
    (MORE_EVEN, of(9.0, ("UA", 50, -10.0)), of(9.0, ("UA", 50, -10.0)), None, True,
     "none of 1 slice is worse by more than 10%"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "candidate", "live", "baseline", "passed", "evidence"), CASES)
def test_gates(
    gate: ScoreGate, candidate: Scores, live: Scores | None, baseline: Scores | None, passed: bool,
    evidence: str,
) -> None:  # fmt: skip
    (result,) = judge([gate], candidate, live, baseline)
    assert (result.gate, result.passed, result.evidence) == (str(gate), passed, evidence)


def judge(
    gates: list[ScoreGate], candidate: Scores, live: Scores | None, baseline: Scores | None
) -> tuple[GateResult, ...]:
    """The results of gates on the scores of the only evaluation."""
    known = {} if baseline is None else {"scores": baseline}
    return evaluate_gates(
        gates, {"scores": candidate}, None if live is None else {"scores": live}, known
    )


@pytest.mark.parametrize("gate", [LIVE, BASE, EVEN])
@pytest.mark.parametrize("confidence", [None, 0.95])
def test_an_evaluation_without_rows_passes_no_gate(
    gate: ScoreGate, confidence: float | None
) -> None:
    empty = replace(of(NAN), rows=0, by="carrier")
    (result,) = judge([replace(gate, confidence=confidence)], empty, None, empty)
    assert not result.passed
    assert result.evidence.endswith("; no row was scored")


@pytest.mark.parametrize("gate", [LIVE, EVEN])
def test_a_live_model_without_scores_fails_a_comparison(gate: ScoreGate) -> None:
    (result,) = evaluate_gates([gate], {"scores": of(9.0, UA)}, {"other": of(9.0, UA)}, {})
    assert (result.passed, result.evidence) == (False, "live has no scores")


numbers = st.floats(allow_nan=True, allow_infinity=True)
shares = st.floats(0, 1)


@given(mine=numbers, theirs=numbers, by=shares, more=st.booleans())
def test_no_gate_lets_a_worse_model_pass(mine: float, theirs: float, by: float, more: bool) -> None:
    gates: list[ScoreGate] = [
        beats_live("mae", by=by, higher_is_better=more),
        beats_baseline("mae", by=by, higher_is_better=more),
    ]
    live, baseline = judge(gates, of(mine), of(theirs), of(theirs))
    as_good = mine >= theirs if more else mine <= theirs
    assert as_good or not live.passed
    assert (as_good and mine != theirs) or not baseline.passed


def test_a_decision_is_about_artifact_gates_and_evaluation() -> None:
    approval = Approval(model="mod", gates=(LIVE, BASE), place="flow.py:9")
    other = Approval(model="mod", gates=(beats_live("mae", by=0.1), BASE), place="flow.py:9")
    a, b = model_artifact("a"), model_artifact("b")
    subjects = [
        subject_of(a, approval, "recipe"), subject_of(b, approval, "recipe"),
        subject_of(a, other, "recipe"), subject_of(a, approval, "other"),
        subject_of(model_artifact("a", baseline=5.0), approval, "recipe"),
    ]  # fmt: skip
    assert len(set(subjects)) == 5
    moved = Approval(model="mod", gates=(LIVE, BASE), place="flow.py:99")
    assert subject_of(a, moved, "recipe") == subjects[0]
    # Gates that compare nothing with the baseline don't decide on it.
    bare = Approval(model="mod", gates=(LIVE,), place="flow.py:9")
    assert subject_of(model_artifact("a", baseline=5.0), bare, "r") == subject_of(a, bare, "r")


def test_a_decision_stands_for_the_baseline_that_it_compared_with() -> None:
    artifact, other = model_artifact("a"), model_artifact("a", baseline=5.0)
    approval = Approval(model="mod", gates=(BASE,), place="flow.py:9")
    plain = decision("a", 1.0)
    compared = replace(plain, baseline=judged_baseline(artifact, approval))
    assert standing_decision([plain], other) == plain
    assert standing_decision([compared], artifact) == compared
    assert standing_decision([compared], other) is None
    assert standing_decision([replace(compared, at=0.5), plain], other) == plain
    assert standing_decision([], artifact) is None
    assert standing_decision([plain, replace(plain, at=2.0, held=True)], artifact) is None


def test_a_promotion_lifts_what_gates_refused_and_not_what_people_did() -> None:
    refused, other = decision("a", 1.0), decision("b", 1.0)
    known = {
        "refused": refused, "other": other, "approved": replace(refused, approved=True),
        "withdrawn": replace(refused, actor="ana"), "rejected": replace(refused, review="r1"),
    }  # fmt: skip
    lifted = lift_refusals(known, {"a"})
    assert lifted == {**known, "refused": replace(refused, held=True)}
    assert lifted["refused"].verdict == "passed"


def decision(artifact: str, at: float, *gates: GateResult) -> Decision:
    return Decision(
        subject=f"{artifact} {at}",
        artifact=artifact,
        approved=False,
        results=gates,
        actor="gates",
        at=at,
    )


def test_the_last_decision_on_an_artifact_counts_whatever_its_gates_were() -> None:
    old, new, other = decision("a", 1.0), decision("a", 2.0), decision("b", 3.0)
    assert last_decision([new, other, old], "a") == new
    assert last_decision([other], "a") is None


def test_a_refusal_names_the_day_and_the_gates_that_failed() -> None:
    results = [
        GateResult(gate=name, passed=passed, evidence="1")
        for name, passed in (
            ("beats_live(mae)", False),
            ("x", True),
            ("beats_baseline(mae)", False),
        )
    ]
    noon = datetime(2026, 11, 27, 12).timestamp()
    advice = "to have it judged again, run `tidemill run m --again`"
    assert refusal_message("m", decision("5c97", noon, *results)) == (
        "m: candidate 5c97 was refused on 2026-11-27 by beats_live(mae), beats_baseline(mae); "
        + advice
    )
    assert refusal_message("m", decision("5c97", noon)) == (
        "m: candidate 5c97 was refused on 2026-11-27; " + advice
    )
    rejected = replace(decision("5c97", noon), review="r1", actor="ben", reason="UA is worse")
    assert (rejected.verdict, decision("5c97", noon).verdict) == ("rejected", "refused")
    assert refusal_message("m", rejected) == (
        "m: candidate 5c97 was rejected on 2026-11-27 in review r1 by ben (UA is worse); " + advice
    )
    assert refusal_message("m", replace(rejected, actor=EXPIRY, reason="")) == (
        "m: candidate 5c97 was rejected on 2026-11-27 in review r1; " + advice
    )


def test_a_decision_keeps_its_digest() -> None:
    """Decisions of earlier versions are about the same subjects."""
    gates = (
        beats_live("mae"),
        beats_baseline("mae", by=0.1, confidence=0.95),
        no_slice_worse("mae", over="carrier", by=0.1),
    )
    approval = Approval(model="mod", gates=gates, place="x")
    digest = "f48ab99e0ab5d3261bc5338e35e026e8"
    assert subject_of(model_artifact("a"), approval, "recipe") == digest
    single = Approval(model="m", gates=(beats_live("x.mae", higher_is_better=True),))
    digest = "c8cf4e257af973a8faceb8e5fd7023cb"
    assert subject_of(model_artifact("a"), single, "r1,r2") == digest


def test_code_and_files_of_gates_are_part_of_what_is_decided() -> None:
    own = (own_gate(sane), golden("golden.csv"), size("5MB"))
    approval = Approval(model="mod", gates=own)
    contents = [{}, {0: "a", 1: "f"}, {0: "b", 1: "f"}, {0: "a", 1: "g"}]
    subjects = {subject_of(model_artifact("a"), approval, "r", each) for each in contents}
    assert len(subjects) == 4
    other = Approval(model="mod", gates=(own[0], own[1], size("6MB")))
    assert subject_of(model_artifact("a"), other, "r") not in subjects


def test_gates_of_all_kinds_are_judged_in_order() -> None:
    model = Stage(
        name="mod", kind=Kind.MODEL, function=None, inputs=(), output=None, place="flow.py:9"
    )
    facts = RecordedFacts(artifact=model_artifact("a"), model=model, now=0.0, sizes=(7,))
    scores = Scores(rows=9000, metrics={"mae": 1.0, "calibration_error": 0.01})
    gates = (calibrated(), LIVE, size(7), own_gate(sane), calibrated(metric="x.ece"), latency(5))
    timed = GateResult(gate="latency(p99)", passed=True, evidence="fast")
    results = evaluate_gates(gates, {"s": scores}, None, {}, facts=facts, measured={5: timed})
    assert [(each.gate, each.passed) for each in results] == [
        ("calibrated", True),
        ("beats_live(mae)", True),
        ("size", True),
        ("sane", False),
        ("calibrated(x.ece)", False),
        ("latency(p99)", True),
    ]
    assert results[3].evidence == "it wasn't evaluated"
    assert results[4].evidence == "x has no scores"


def sane(candidate: object) -> bool:
    return candidate is not None


JUDGED_PARTS = ("artifact", "live", "scored", "limit", "contents", "price")
WORDS = st.sampled_from("abc")
SCORED = st.dictionaries(
    st.sampled_from(["candidate", "live", "baseline"]),
    st.dictionaries(WORDS, st.tuples(WORDS, WORDS), max_size=2),
    max_size=2,
)
JUDGED = st.fixed_dictionaries(
    {
        "artifact": WORDS,
        "live": st.just("") | WORDS,
        "scored": SCORED,
        "limit": st.integers(5, 6),
        "contents": st.dictionaries(st.integers(0, 1), WORDS, max_size=2),
        "price": st.tuples(st.sampled_from([0.0, 0.05]), st.sampled_from(["USD", "EUR"])),
    }
)


@given(JUDGED, JUDGED, st.sampled_from(JUDGED_PARTS))
def test_what_gates_measured_is_known_only_if_nothing_changed(
    one: dict[str, Any], other: dict[str, Any], part: str
) -> None:
    def evidence(given: dict[str, Any]) -> str:
        bound = {
            subject: {
                stage: replace(binding(key), product=replace(product(), content=content))
                for stage, (key, content) in held.items()
            }
            for subject, held in given["scored"].items()
        }
        gates = [latency(given["limit"]), latency(given["limit"] + 1)]
        basis = judged_basis(given["live"], bound)
        artifact = model_artifact(given["artifact"])
        return measured_evidence(artifact, gates, given["contents"], basis, given["price"])

    # Mostly they differ in one thing only.
    near = {**one, part: other[part]}
    for against in (other, near):
        is_same = _measured(one) == _measured(against)
        assert (evidence(one) == evidence(against)) == is_same


def _measured(given: dict[str, Any]) -> dict[str, Any]:
    """What gates depend on: the declaration only of those that are measured."""
    return given if given["contents"] else {**given, "limit": 0}
