"""What a gate says of two models with figures by day."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tidemill.models.gates import evaluate_gates
from tidemill.workflow.gate import (
    Daily,
    GateOutcome,
    GateResult,
    Goal,
    ScoreGate,
    Scores,
    Slice,
    beats_baseline,
    beats_live,
    no_slice_worse,
)

FAILED, PASSED, UNKNOWN = GateOutcome.FAILED, GateOutcome.PASSED, GateOutcome.UNKNOWN
WEATHER = [10.0 + 3 * (n % 5) for n in range(60)]


def daily_of(values: list[float]) -> Daily:
    """Figures of days with 50 rows each."""
    days = tuple(str(date(2026, 1, 1) + timedelta(days=n)) for n in range(len(values)))
    return Daily(days=days, rows=(50,) * len(values), metrics={"mae": tuple(values)})


def of(values: list[float], *slices: tuple[str, list[float]], goal: Goal = Goal.LOW) -> Scores:
    """Scores whose figure of each day is given, overall and by carrier."""
    parts = tuple(
        Slice(value=name, rows=50 * len(part), metrics={"mae": float(np.mean(part))}, daily=daily_of(part))
        for name, part in slices
    )  # fmt: skip
    return Scores(
        rows=50 * len(values), metrics={"mae": float(np.mean(values))}, daily=daily_of(values),
        by="carrier" if slices else "", slices=parts, goals={} if goal is Goal.LOW else {"mae": goal},
    )  # fmt: skip


def judge(gate: ScoreGate, candidate: Scores, live: Scores) -> GateResult:
    """The result of a gate of the only evaluation."""
    [result] = evaluate_gates([gate], {"s": candidate}, {"s": live}, {"s": live})
    return result


def shifted(by: float, noise: float, days: int = 28) -> Scores:
    """A model that is better by some minutes, more on some days and less on others."""
    wave = [noise * (-1) ** n for n in range(days)]
    return of([w - by + v for w, v in zip(WEATHER[:days], wave, strict=True)])


LIVE = of(WEATHER[:28])
DAILY = daily_of(WEATHER[:28])
SURE_BY = "1 (95%: 0.803 to 1.2, 28 days)"
SURE = f"better by {SURE_BY}"
CASES = [
    # gate, candidate, outcome, evidence
    (beats_live("mae"), shifted(1.0, 0.5), PASSED, SURE),
    (beats_live("mae", confidence=0.95), shifted(1.0, 0.5), PASSED, SURE),
    (beats_live("mae"), shifted(0.1, 3.0), PASSED, "could be noise"),
    (beats_live("mae", confidence=0.95), shifted(0.1, 3.0), FAILED, "not better with a confidence of 0.95"),
    (beats_live("mae", confidence=0.5), shifted(1.0, 3.0), PASSED, "could be noise"),
    (beats_live("mae", confidence=0.95), shifted(-1.0, 0.5), FAILED, f"worse by {SURE_BY}"),
    (beats_live("mae"), shifted(-0.1, 3.0), FAILED, "could be noise"),
    # The difference must be above the margin with this confidence.
    (beats_live("mae", by=0.05, confidence=0.95), shifted(1.0, 0.5), PASSED, "better by 1 "),
    (beats_live("mae", by=0.06, confidence=0.95), shifted(1.0, 0.5), FAILED, "not better with a confidence"),
    # The same model is no evidence of a better one.
    (beats_live("mae"), LIVE, PASSED, "better by 0"),
    (beats_live("mae", confidence=0.95), LIVE, FAILED, "not better with a confidence"),
    (beats_baseline("mae", confidence=0.95), shifted(1.0, 0.5), PASSED, "of the baseline; better by 1"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "candidate", "outcome", "evidence"), CASES)
def test_a_difference_and_its_noise(
    gate: ScoreGate, candidate: Scores, outcome: GateOutcome, evidence: str
) -> None:
    result = judge(gate, candidate, LIVE)
    assert (result.outcome, result.passed) == (outcome, outcome is PASSED), result.evidence
    assert evidence in result.evidence
    assert result.difference is not None
    assert result.difference.days == 28


@pytest.mark.parametrize(("days", "outcome"), [(13, UNKNOWN), (14, PASSED)])
def test_below_14_days_nothing_can_be_told(days: int, outcome: GateOutcome) -> None:
    gate = beats_live("mae", confidence=0.95)
    result = judge(gate, shifted(1.0, 0.5, days), of(WEATHER[:days]))
    assert result.outcome is outcome
    if outcome is UNKNOWN:
        assert result.evidence.endswith(
            "; 13 days can't tell whether that is noise (14 can): not enough data to tell"
        )


def test_without_days_nothing_can_be_told() -> None:
    plain = Scores(rows=9, metrics={"mae": 1.0})
    result = judge(beats_live("mae", confidence=0.9), plain, Scores(rows=9, metrics={"mae": 2.0}))
    assert result.outcome is UNKNOWN
    assert "confidence needs scores of both by day, or by blocks of rows" in result.evidence
    assert judge(beats_live("mae"), plain, plain).evidence == "1 against 1 of live"


def test_metrics_know_what_is_best() -> None:
    high = of([0.9] * 20, goal=Goal.HIGH)
    assert judge(beats_live("mae"), high, of([0.8] * 20, goal=Goal.HIGH)).passed
    assert not judge(beats_live("mae"), of([0.7] * 20, goal=Goal.HIGH), high).passed
    near, far = of([-0.5] * 20, goal=Goal.ZERO), of([0.8] * 20, goal=Goal.ZERO)
    assert judge(beats_live("mae"), near, far).passed
    assert not judge(beats_live("mae"), far, near).passed


def many(count: int, worse: dict[str, float], noise: float, days: int = 28) -> Scores:
    """Slices as noisy as the live model's, of which some are worse."""
    random = np.random.default_rng(7)
    names = [f"c{n:02}" for n in range(count)]
    slices = [
        (name, [w + worse.get(name, 0.0) + float(random.normal(0, noise)) for w in WEATHER[:days]])
        for name in names
    ]
    return of(WEATHER[:days], *slices)


EVEN = no_slice_worse("mae", over="carrier", by=0.05)
SURELY = no_slice_worse("mae", over="carrier", by=0.05, confidence=0.95)


def test_a_slice_that_is_surely_worse_stops_a_model() -> None:
    live, candidate = many(20, {}, 0.0), many(20, {"c03": 3.0}, 1.0)
    result = judge(SURELY, candidate, live)
    assert not result.passed
    assert result.evidence.startswith("worse by more than 5% in 1 of 20 (c03: ")
    assert re.search(
        r"c03: \S+ against \S+, worse by \S+ \(95%: \S+ to \S+, 28 days\)", result.evidence
    )


def test_a_slice_of_few_days_has_no_interval() -> None:
    live, candidate = many(3, {}, 0.0, days=7), many(3, {"c01": 3.0}, 1.0, days=7)
    result = judge(EVEN, candidate, live)
    assert re.search(r"\(c01: \S+ against [\d.]+(; |\))", result.evidence), result.evidence


def test_among_many_slices_some_are_worse_by_chance() -> None:
    live, candidate = many(40, {}, 0.0), many(40, {}, 4.0)
    plain = judge(EVEN, candidate, live)
    assert not plain.passed
    assert "could be noise" in plain.evidence
    result = judge(SURELY, candidate, live)
    assert result.passed, result.evidence
    assert result.evidence == (
        "none of 40 slices is worse by more than 5% with a confidence of 0.95 (Holm)"
    )


def test_slices_of_few_days_can_not_tell() -> None:
    live, candidate = many(3, {}, 0.0, days=13), many(3, {"c01": 9.0}, 1.0, days=13)
    result = judge(SURELY, candidate, live)
    assert (result.outcome, "not enough data to tell" in result.evidence) == (UNKNOWN, True)
    # The figures alone still count without confidence.
    assert not judge(EVEN, candidate, live).passed


def short(scores: Scores, *names: str) -> Scores:
    """The scores without the daily figures of some slices, as of all but the largest 50."""
    parts = tuple(replace(p, daily=None) if p.value in names else p for p in scores.slices)
    return replace(scores, slices=parts)


def test_slices_without_daily_figures_are_named_when_the_others_pass() -> None:
    live, candidate = many(9, {}, 0.0), many(9, {}, 0.1)
    result = judge(SURELY, short(candidate, "c03"), live)
    assert result.passed
    assert result.evidence.endswith(
        "none of 8 slices is worse by more than 5% with a confidence of 0.95 (Holm); "
        "1 slice without figures of 14 days is not judged (c03)"
    )
    gone = [f"c{n:02}" for n in range(7)]
    result = judge(SURELY, short(candidate, *gone), live)
    assert result.passed
    assert result.evidence.endswith("7 slices without figures of 14 days are not judged "
                                    "(c00, c01, c02, c03, c04, ...)")  # fmt: skip


def test_a_slice_that_looks_worse_and_cannot_be_judged_leaves_the_gate_undecided() -> None:
    live, candidate = many(9, {}, 0.0), many(9, {"c03": 3.0}, 0.1)
    result = judge(SURELY, short(candidate, "c03", "c04"), live)
    assert result.outcome is UNKNOWN
    assert re.search(
        r"2 slices .* not judged \(c03, c04\), of which 1 looks worse \(c03: \S+ against \S+\): "
        "not enough data to tell",
        result.evidence,
    )
    # One that is surely worse refuses the candidate all the same.
    refused = judge(SURELY, short(many(9, {"c03": 3.0, "c01": 9.0}, 0.1), "c03"), live)
    assert refused.outcome is FAILED
    assert "1 slice without figures of 14 days is not judged (c03)" in refused.evidence


def test_a_slice_without_a_figure_stops_a_model() -> None:
    live = many(3, {}, 0.0)
    broken = many(3, {}, 0.1)
    gone = Slice(value="c01", rows=1400, metrics={"mae": float("nan")}, daily=None)
    slices = (broken.slices[0], gone, broken.slices[2])
    candidate = Scores(rows=1, metrics={"mae": 1.0}, by="carrier", slices=slices)
    assert not judge(EVEN, candidate, live).passed
    assert not judge(SURELY, candidate, live).passed


def test_an_evaluation_without_scores_fails_its_gate() -> None:
    [result] = evaluate_gates([beats_live("storms.mae")], {"s": LIVE}, {"s": LIVE}, {})
    assert (result.passed, result.evidence) == (False, "storms has no scores")


@pytest.mark.parametrize(
    ("live", "evidence"),
    [
        (replace(LIVE, rows=LIVE.rows - 1), "rows against"),
        (of(WEATHER[1:28]), "rows against"),
        (replace(LIVE, daily=replace(DAILY, days=("x",) * 28)), "28 days against other days"),
        (replace(LIVE, daily=replace(DAILY, rows=(7,) * 28)), "other numbers of rows than"),
    ],
)
@pytest.mark.parametrize("confidence", [None, 0.95])
def test_models_that_were_scored_on_other_rows_arent_compared(
    live: Scores, evidence: str, confidence: float | None
) -> None:
    """A model that skips hard rows must not look better for it."""
    better = shifted(1.0, 0.5)
    for gate in (
        beats_live("mae", confidence=confidence),
        beats_baseline("mae", confidence=confidence),
    ):
        result = judge(gate, better, live)
        assert result.outcome is UNKNOWN
        assert evidence in result.evidence
        assert result.evidence.endswith("can't be compared: not enough data to tell")


def test_slices_of_other_rows_arent_compared() -> None:
    live, candidate = many(3, {}, 0.0), many(3, {}, 0.0)
    result = judge(EVEN, candidate, replace(live, rows=live.rows + 1))
    assert (result.outcome, "rows against" in result.evidence) == (UNKNOWN, True)
