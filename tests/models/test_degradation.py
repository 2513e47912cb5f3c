"""When a live model's metric is lastingly worse than at approval, and when there is too little to tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.degradation import degradation_alarms, observe_degradation
from tidemill.models.triggers import DayFigure, MetricHistory
from tidemill.workflow.gate import Daily, Goal, Scores
from tidemill.workflow.trigger import Degraded, degraded

ERRORS, MAE = degraded("errors", by=0.1), degraded("mae", by=0.1)


def named(number: int) -> str:
    return f"day {number:04}"


def approved(metric: str, values: Sequence[float], rows: int, goal: Goal = Goal.LOW) -> Scores:
    """Scores over some days with as many rows each."""
    daily = Daily(
        days=tuple(f"approval {n:02}" for n in range(len(values))), rows=(rows,) * len(values),
        metrics={metric: tuple(values)},
    )  # fmt: skip
    mean = float(np.mean(values))
    return Scores(
        rows=rows * len(values), metrics={metric: mean}, daily=daily, goals={metric: goal}
    )


def history(
    scores: Scores, values: Sequence[float], rows: int | Sequence[int], since: str = ""
) -> MetricHistory:
    """The figures of days since the approval."""
    sizes = [rows] * len(values) if isinstance(rows, int) else rows
    figures = (
        DayFigure(day=named(at), rows=size, value=value)
        for at, (value, size) in enumerate(zip(values, sizes, strict=True))
    )
    return MetricHistory(approved=scores, figures=tuple(figures), since=since)


def shares(rng: np.random.Generator, share: float, days: int, rows: int) -> list[float]:
    """Daily error rates whose truth differs by one point from day to day."""
    truth = np.clip(rng.normal(share, 0.01, days), 0.001, 0.999)
    return [float(n) / rows for n in rng.binomial(rows, truth)]


def means(rng: np.random.Generator, mean: float, days: int, rows: int) -> list[float]:
    """Daily means of exponential errors, whose truth differs by 3 % from day to day."""
    truth = mean * np.clip(rng.normal(1, 0.03, days), 0.1, 2)
    return [float(v) for v in rng.gamma(rows, truth / rows)]


@pytest.mark.untraced
@pytest.mark.parametrize("rows", [200, 1_000, 10_000, 1_000_000])
@pytest.mark.parametrize(("trigger", "draw", "good"), [(ERRORS, shares, 0.10), (MAE, means, 2.0)])
def test_false_alarms_are_rarer_than_one_in_ten_years(
    trigger: Degraded, draw: object, good: float, rows: int
) -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(40):
        scores = approved(trigger.metric, draw(rng, good, 30, rows), rows)  # type: ignore[operator]
        seen = history(scores, draw(rng, good, 365, rows), rows)  # type: ignore[operator]
        alarms += len(degradation_alarms(trigger, seen))
    assert alarms <= 4


@pytest.mark.parametrize(
    ("trigger", "draw", "good", "bad"), [(ERRORS, shares, 0.10, 0.13), (MAE, means, 2.0, 2.6)]
)
def test_a_step_is_seen_within_two_weeks_of_a_thousand_labels(
    trigger: Degraded, draw: object, good: float, bad: float
) -> None:
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(40):
        scores = approved(trigger.metric, draw(rng, good, 60, 1_000), 1_000)  # type: ignore[operator]
        after = draw(rng, bad, 14, 1_000)  # type: ignore[operator]
        seen += bool(degradation_alarms(trigger, history(scores, after, 1_000)))
    assert seen >= 38


def test_it_shows_the_figures_and_the_day_of_the_alarm() -> None:
    scores = approved("mae", [2.0, 2.1, 1.9, 2.05, 1.95, 2.0], 100)
    found = observe_degradation(MAE, history(scores, [3.0, 3.0, 3.0, 3.0], 100))
    assert found.seen == (
        "`mae` of the live model is 3 on average over 4 labelled days (400 rows), 2 at approval; "
        "alarm on day 0001"
    )
    assert found.threshold == "365 (0.2 worse is tolerated)"
    assert (found.evidence or 0) >= (found.limit or 0) == 365
    # One day alone raises no alarm, however bad it is.
    found = observe_degradation(MAE, history(scores, [9e9], 100))
    assert 1 < (found.evidence or 0) < 365


def test_only_days_after_the_last_training_count() -> None:
    scores = approved("mae", [2.0, 2.1, 1.9, 2.05, 1.95, 2.0], 100)
    late = history(scores, [3.0] * 9, 100, since=named(8))
    found = observe_degradation(MAE, late)
    assert (found.evidence, found.seen) == (
        0.0, "`mae` was 2 at approval, and no labelled day came since",
    )  # fmt: skip
    assert degradation_alarms(MAE, late) == []


@pytest.mark.parametrize(
    ("trigger", "goal"),
    [(degraded("auc", by=0.1, higher_is_better=True), Goal.LOW), (degraded("auc", by=0.1), Goal.HIGH)],
)  # fmt: skip
def test_for_some_metrics_lower_is_worse(trigger: Degraded, goal: Goal) -> None:
    scores = approved("auc", [0.8123, 0.8044, 0.8071, 0.8199, 0.8013, 0.8107], 1_001, goal)
    worse, better = [0.65012] * 9, [0.95012] * 9
    assert degradation_alarms(trigger, history(scores, worse, 1_001))
    assert not degradation_alarms(trigger, history(scores, better, 1_001))
    # A share of good rows is as exact as one of errors.
    share = approved("auc", [0.81, 0.80, 0.79, 0.80, 0.80, 0.80], 1_000, goal)
    assert degradation_alarms(trigger, history(share, [0.68] * 9, 1_000))
    assert not degradation_alarms(trigger, history(share, [0.9] * 9, 1_000))


def test_a_bias_is_worse_on_both_sides() -> None:
    scores = approved("bias", [1.0, 1.1, 0.9, 1.05, 0.95, 1.0], 100, Goal.ZERO)
    trigger = degraded("bias", by=0.5)
    for value in (3.0, -3.0):
        assert degradation_alarms(trigger, history(scores, [value] * 9, 100))
    assert not degradation_alarms(trigger, history(scores, [0.0] * 9, 100))


UNKNOWN: list[tuple[Scores, Sequence[float], str, str]] = [
    (Scores(rows=9, metrics={"rmse": 1.0}), [1.0],
     "the live model has no metric 'mae' (there is: rmse)", ""),
    (Scores(rows=9, metrics={"mae": math.nan}), [1.0], "`mae` was nan at approval", ""),
    (Scores(rows=9, metrics={"mae": math.inf}), [1.0], "`mae` was inf at approval", ""),
    # Without daily figures of the approval, some days must show how much days differ.
    (Scores(rows=90, metrics={"mae": 2.55}), [2.5] * 4,
     "`mae` of the live model is 2.5 on average over 4 labelled days (40 rows), 2.55 at approval",
     "it needs 5 days to know how much days differ, or tm.scores(..., day=...)"),
    (Scores(rows=90, metrics={"mae": 2.55}), [math.nan] * 9,
     "`mae` was 2.55 at approval, and no labelled day came since",
     "it needs 5 days to know how much days differ, or tm.scores(..., day=...)"),
]  # fmt: skip


@pytest.mark.parametrize(("scores", "values", "seen", "note"), UNKNOWN)
def test_it_says_what_it_cannot_tell(
    scores: Scores, values: Sequence[float], seen: str, note: str
) -> None:
    known = history(scores, values, 10)
    found = observe_degradation(MAE, known)
    assert (found.seen, found.note, found.evidence) == (seen, note, None)
    if "mae" in scores.metrics and math.isfinite(scores.metrics["mae"]):
        assert degradation_alarms(MAE, known) == []


def test_a_metric_of_zero_has_no_relative_tolerance() -> None:
    scores = approved("mae", [0.0] * 6, 1_000)
    worse = history(scores, [1.5] * 9, 1_000)
    assert observe_degradation(MAE, worse).evidence is None
    # A share has one point.
    assert degradation_alarms(
        ERRORS, history(approved("errors", [0.0] * 6, 1_000), [0.05] * 9, 1_000)
    )


def test_where_there_are_too_few_labels_it_says_so_with_figures() -> None:
    rng = np.random.default_rng(3)
    plain = [float(n) / 120 for n in rng.binomial(120, 0.1, 30)]
    scores = approved("errors", plain, 120)
    found = observe_degradation(ERRORS, history(scores, plain[:9], 120))
    assert found.note.startswith(
        "not enough labels to be both quiet and quick: with 120 a day, 0.1275 instead of"
    )
    assert "would be seen after about" in found.note
    assert " would do for 14 days" in found.note
    few = approved("errors", [0.0, 0.5, 0.0, 0.5, 0.0, 0.5], 2)
    found = observe_degradation(ERRORS, history(few, [0.5] * 6, 2))
    assert "with 2 a day" in found.note
    many = approved("errors", shares(rng, 0.1, 30, 2_000), 2_000)
    assert observe_degradation(ERRORS, history(many, [0.1] * 6, 2_000)).note == ""


def test_where_days_differ_too_much_no_number_of_labels_helps() -> None:
    scores = approved("mae", [1.0, 900.0, 1.0, 900.0, 1.0, 900.0, 1.5], 10)
    known = replace(history(scores, [1.0], 10), a_year=8_760)
    found = observe_degradation(degraded("mae", by=0.001), known)
    assert "would be seen after over 365 days; more labels" in found.note
    wild = approved("errors", [0.02, 0.3, 0.05, 0.25, 0.01, 0.33, 0.03], 100)
    found = observe_degradation(ERRORS, history(wild, [0.1] * 5, 100))
    assert found.note.endswith("more labels a day won't help, because days differ too much")


figures = st.lists(st.floats(0.5, 10), min_size=1, max_size=30)


@given(figures, st.data(), st.sampled_from(["share", "mean"]))
def test_evidence_is_monotone_in_every_figure(
    values: list[float], data: st.DataObject, kind: str
) -> None:
    """A worse day never lowers the evidence, and never takes an alarm back."""
    if kind == "share":
        trigger, rows = ERRORS, 100
        values = [round(value * 10) / 100 for value in values]
        scores = approved("errors", [0.1, 0.12, 0.08, 0.11, 0.09, 0.1], rows)
    else:
        trigger, rows = MAE, 100
        scores = approved("mae", [2.03, 2.11, 1.92, 2.05, 1.95, 2.0], rows)
    at = data.draw(st.integers(0, len(values) - 1))
    worse = [*values]
    worse[at] += data.draw(st.integers(0, 30)) / 100
    before = observe_degradation(trigger, history(scores, values, rows))
    after = observe_degradation(trigger, history(scores, worse, rows))
    assert before.evidence is not None
    assert after.evidence is not None
    fired = [found.evidence >= 365 for found in (before, after)]  # type: ignore[operator]
    assert fired[1] >= fired[0]
    if not fired[1]:
        assert after.evidence >= before.evidence - 1e-9


def test_an_error_rate_that_cannot_be_worse_never_fires() -> None:
    scores = approved("errors", [0.995] * 6, 1_000)
    assert degradation_alarms(ERRORS, history(scores, [1.0] * 2_000, 1_000)) == []


@given(st.floats(0.1, 100), st.integers(1, 1_000), st.integers(0, 400))
def test_figures_as_at_approval_never_fire(value: float, rows: int, days: int) -> None:
    scores = approved("mae", [value] * 6, rows)
    assert degradation_alarms(MAE, history(scores, [value] * days, rows)) == []


@given(figures, figures)
def test_a_day_without_labels_changes_nothing(values: list[float], more: list[float]) -> None:
    scores = approved("mae", [2.03, 2.11, 1.92, 2.05, 1.95, 2.0], 100)
    full = history(scores, [*values, *more], [100] * len(values) + [0] * len(more))
    found = observe_degradation(MAE, full)
    assert found == observe_degradation(MAE, history(scores, values, 100))
