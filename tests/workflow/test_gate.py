"""Gates as they are written and read."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tidemill.workflow.gate import (
    BeatsBaseline,
    BeatsLive,
    NoSliceWorse,
    ScoreGate,
    Threshold,
    beats_baseline,
    beats_live,
    no_slice_worse,
)


@pytest.mark.parametrize(
    ("gate", "same", "text"),
    [
        (beats_live("mae"), BeatsLive(metric="mae"), "beats_live(mae)"),
        (
            beats_live("auc", by=0.1, higher_is_better=True),
            BeatsLive(metric="auc", by=0.1, higher_is_better=True), "beats_live(auc)",
        ),
        (
            beats_baseline("mae", by=0.2, higher_is_better=True),
            BeatsBaseline(metric="mae", by=0.2, higher_is_better=True), "beats_baseline(mae)",
        ),
        (
            no_slice_worse("mae", over="carrier", by=0.1, min_rows=9, higher_is_better=True),
            NoSliceWorse(metric="mae", over="carrier", by=0.1, min_rows=9, higher_is_better=True),
            "no_slice_worse(mae, over=carrier)",
        ),
    ],
)  # fmt: skip
def test_gates(gate: ScoreGate, same: ScoreGate, text: str) -> None:
    assert gate == same
    assert str(gate) == text
    # What is decided is bound to it.
    assert all(str(value) in repr(gate) for value in (gate.metric, gate.by, gate.higher_is_better))


def test_thirty_rows_make_a_slice() -> None:
    assert no_slice_worse("mae", over="carrier", by=0.1).min_rows == 30


@pytest.mark.parametrize("confidence", [0.4, 1, 95])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"must be from 0.5 to below 1, such as 0.95"):
        beats_live("mae", confidence=confidence)


@pytest.mark.parametrize("by", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_tolerance_is_finite(by: float) -> None:
    for make in (beats_live, beats_baseline, partial(no_slice_worse, over="carrier")):
        with pytest.raises(ValueError, match=r"by=.* must be finite, such as 0.1"):
            make("mae", by=by)


@pytest.mark.parametrize("option", ["by", "confidence"])
@pytest.mark.parametrize("value", ["0.95", True])
def test_figures_of_a_gate_are_numbers(option: str, value: Any) -> None:
    options: Any = {"over": "carrier", "by": 0.1, option: value}
    with pytest.raises(TypeError, match=rf"{option}={value!r} is not a number, such as 0.1"):
        no_slice_worse("mae", **options)


def test_a_threshold_is_a_number_that_says_how_it_was_chosen() -> None:
    chosen = Threshold(value=0.25, days=("2026-01-01",), metric="f1", score=0.5)
    assert float(chosen) == 0.25
    assert str(chosen) == "0.25, chosen by f1 (0.5 on 2026-01-01)"
    more = Threshold(value=0.25, days=("2026-01-01", "2026-01-04"), metric="f1", score=0.5)
    assert str(more) == "0.25, chosen by f1 (0.5 on 2026-01-01 to 2026-01-04)"
