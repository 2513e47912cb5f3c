"""Compare the scores of a candidate with those of another model, for a gate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.intervals import (
    MIN_DAYS,
    SHOWN_CONFIDENCE,
    JackknifeEstimate,
    gain_estimate,
    holm,
)
from tidemill.workflow.gate import (
    BeatsBaseline,
    BeatsLive,
    GateResult,
    Goal,
    Interval,
    NoSliceWorse,
    Scores,
    Slice,
)

# Why a candidate is compared with no live model.
NO_LIVE = "no live model to compare with"
UNREADABLE_LIVE = (
    "the live model can't be scored on these rows, so there is nothing to compare with"
)


class GateScores(NamedTuple):
    """The candidate's scores, and the metric that a gate looks at."""

    metric: str
    scores: Scores

    def goal(self, gate: BeatsLive | BeatsBaseline | NoSliceWorse) -> Goal:
        """The best value of the metric: as the gate says, or as the metric knows."""
        known = self.scores.goals.get(self.metric, Goal.LOW)
        return Goal.HIGH if gate.higher_is_better else known


def compare_figures(
    gate: BeatsLive | BeatsBaseline, mine: GateScores, other: Scores | None, name: str
) -> GateResult:
    """Judge whether a candidate's figure is better than that of `other`, called `name`."""
    metric, scores = mine
    if other is None:
        return _failed(gate, f"{name} has no scores")
    if metric not in scores.metrics:
        return _failed(gate, f"there is no metric {metric!r} among {', '.join(scores.metrics)}")
    value, theirs = scores.metrics[metric], other.metrics.get(metric, math.nan)
    if apart := _other_rows(scores, other, name):
        return GateResult(gate=str(gate), passed=False, unknown=True, evidence=apart)
    goal = mine.goal(gate)
    evidence = f"{value:.4g} against {theirs:.4g} of {name}{missing_figure(value, scores)}"
    better = _is_better(value, theirs, goal, gate.by)
    # A model as good as the live one may replace it; one that only equals the baseline is useless.
    passed = isinstance(gate, BeatsLive) if better is None else better
    estimate = gain_estimate(scores, other, metric, goal, by=gate.by)
    shown = gain_estimate(scores, other, metric, goal)
    found = GateResult(
        gate=str(gate),
        passed=passed,
        evidence=evidence + _noise(shown),
        difference=shown.interval(gate.confidence or SHOWN_CONFIDENCE) if shown else None,
    )
    return found if gate.confidence is None else _with_confidence(found, estimate, gate.confidence)


def _other_rows(scores: Scores, other: Scores, name: str) -> str:
    """Say that two models weren't scored on the same rows, as far as their scores show; "" if they were."""
    mine, theirs = scores.daily, other.daily
    if scores.rows != other.rows:
        seen = f"{plural(scores.rows, 'row')} against {other.rows:,} of {name}"
    elif mine is not None and theirs is not None and mine.days != theirs.days:
        seen = f"{plural(len(mine.days), 'day')} against other days of {name}"
    elif mine is not None and theirs is not None and mine.rows != theirs.rows:
        seen = f"the days have other numbers of rows than those of {name}"
    else:
        return ""
    return f"scored on {seen}, so that the figures can't be compared: not enough data to tell"


def without_live(
    gate: BeatsLive | BeatsBaseline | NoSliceWorse, mine: GateScores, why: str = NO_LIVE
) -> GateResult:
    """Judge a model that is compared with none, which needs a figure; `why` is there none?"""
    value = mine.scores.metrics.get(mine.metric, math.nan)
    return GateResult(
        gate=str(gate),
        passed=math.isfinite(value),
        evidence=f"{value:.4g}, {why}{missing_figure(value, mine.scores)}",
    )


def missing_figure(value: float, scores: Scores) -> str:
    """Say why a figure isn't finite, as an addition to evidence; empty if it is."""
    if math.isfinite(value):
        return ""
    if not scores.rows:
        return "; no row was scored"
    rows = plural(scores.rows, "row")
    return f"; not finite over {rows}: a prediction is missing, or their labels don't define it"


def _is_better(value: float, theirs: float, goal: Goal, by: float) -> bool | None:
    """Whether a figure is better than another one improved by the share `by`; None if it equals it."""
    if not math.isfinite(value):
        return False
    if goal is Goal.ZERO:
        value, theirs = abs(value), abs(theirs)
    slack = abs(theirs) * by if by else 0.0
    limit = theirs + slack if goal is Goal.HIGH else theirs - slack
    if value == limit:
        return None
    return value > limit if goal is Goal.HIGH else value < limit


def _with_confidence(
    found: GateResult, estimate: JackknifeEstimate | None, confidence: float
) -> GateResult:
    """Require that the difference is above zero with a confidence, too."""
    if not found.passed:
        return found
    if estimate is None:
        need = (
            "; confidence needs scores of both by day, or by blocks of rows that are independent of each "
            "other: tm.scores(..., day=...)"
        )
        return _undecided(found, found.evidence + need)
    if not estimate.is_enough:
        return _undecided(found, found.evidence)
    if estimate.interval(confidence).low > 0:
        return found
    return GateResult(
        gate=found.gate,
        passed=False,
        evidence=f"{found.evidence}; not better with a confidence of {confidence:.4g}",
        difference=found.difference,
    )


def _noise(estimate: JackknifeEstimate | None) -> str:
    """Say what the interval of a difference says, "" without one."""
    if estimate is None:
        return ""
    if not estimate.is_enough:
        return f"; {plural(estimate.days, 'day')} can't tell whether that is noise ({MIN_DAYS} can)"
    # A loss is a positive number, too: no sign has to be read twice.
    if estimate.value < 0:
        return f"; worse by {_interval(_loss(estimate))}"
    return f"; better by {_interval(estimate.interval(SHOWN_CONFIDENCE))}"


def _loss(gain: JackknifeEstimate) -> Interval:
    """By how much a candidate is worse."""
    return replace(gain, value=-gain.value).interval(SHOWN_CONFIDENCE)


def _interval(found: Interval) -> str:
    """A difference with its interval: `0.19 (95%: -0.05 to 0.43, 28 days, could be noise)`."""
    figures = f"{found.low:.3g} to {found.high:.3g}, {found.days} days"
    noise = ", could be noise" if found.low <= 0 <= found.high else ""
    return f"{found.value:.3g} ({found.confidence:.0%}: {figures}{noise})"


def compare_slices(
    gate: NoSliceWorse,
    mine: GateScores,
    other: Scores | None,
    *,
    is_first: bool,
    why: str = NO_LIVE,
) -> GateResult:
    """Judge whether a slice of a candidate is worse than that of the live model beyond a share.

    A candidate that `is_first` has no live model to be compared with, and `why` says so. A slice without a
    figure of either, such as the area under the ROC curve where all labels are equal, isn't compared.
    """
    scores = mine.scores
    if scores.by != gate.over:
        by = scores.by or "nothing"
        return _failed(gate, f"the evaluation splits by {by}, not by {gate.over}")
    if is_first:
        first = without_live(gate, mine, why)
        return replace(first, evidence=why) if first.passed else first
    if other is None:
        return _failed(gate, "live has no scores")
    if apart := _other_rows(scores, other, "live"):
        return GateResult(gate=str(gate), passed=False, unknown=True, evidence=apart)
    pairs = _paired_slices(gate, mine, other)
    if not pairs:
        rows = plural(gate.min_rows, "row")
        advice = "evaluate on more rows, or lower min_rows="
        return _failed(gate, f"no slice of at least {rows} and a figure to compare; {advice}")
    if gate.confidence is None:
        return _slice_result(gate, pairs, [pair for pair in pairs if pair.is_worse])
    able = [pair for pair in pairs if pair.can_tell]
    if not able:
        return GateResult(
            gate=str(gate),
            passed=False,
            unknown=True,
            evidence=f"no slice has scores of at least {MIN_DAYS} days: not enough data to tell",
        )
    adjusted = holm([pair.chance for pair in able])
    limit = 1 - gate.confidence
    worse = [pair for pair, chance in zip(able, adjusted, strict=True) if chance <= limit]
    # A figure that isn't finite is no noise.
    worse += [pair for pair in pairs if not pair.can_tell and not math.isfinite(pair.value)]
    found = _slice_result(gate, able, worse)
    return _with_unjudged(found, [pair for pair in pairs if not pair.can_tell])


def slices_worse_than(metric: str, mine: Scores, other: Scores) -> tuple[str, ...]:
    """Return the slices of at least 30 rows whose metric is worse than another model's.

    Slices with 14 days of figures count if they are worse with a confidence of 95 % (Holm), others by their
    figures alone. A metric that one of them lacks in a slice is worse.
    """
    gate = NoSliceWorse(metric=metric, over=mine.by, by=0.0, confidence=SHOWN_CONFIDENCE)
    pairs = _paired_slices(gate, GateScores(metric, mine), other)
    able = [pair for pair in pairs if pair.can_tell]
    adjusted = holm([pair.chance for pair in able]) if able else []
    sure = {
        p.name for p, chance in zip(able, adjusted, strict=True) if chance <= 1 - SHOWN_CONFIDENCE
    }
    worse = (p.name for p in pairs if (p.name in sure if p.can_tell else p.is_worse))
    return tuple(f"{mine.by}={name}" for name in worse)


def _with_unjudged(found: GateResult, unjudged: list[_SlicePair]) -> GateResult:
    """Name the slices that are large enough, but have too few days to be judged with a confidence.

    One of them that is worse beyond the share by its figures leaves the gate undecided.
    """
    if not unjudged:
        return found
    names = ", ".join(pair.name for pair in unjudged[:5]) + (", ..." if len(unjudged) > 5 else "")
    evidence = (
        f"{found.evidence}; {plural(len(unjudged), 'slice')} without figures of {MIN_DAYS} days "
        f"{'is' if len(unjudged) == 1 else 'are'} not judged ({names})"
    )
    suspect = [pair for pair in unjudged if pair.is_worse]
    if not found.passed or not suspect:
        return replace(found, evidence=evidence)
    looks = "looks" if len(suspect) == 1 else "look"
    return _undecided(found, f"{evidence}, of which {len(suspect)} {looks} worse ({suspect[0]})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _SlicePair:
    """One slice of both models: the figures, by how much the candidate's is better, and beyond the limit."""

    value: float
    theirs: float
    name: str
    is_worse: bool
    gain: JackknifeEstimate | None
    beyond: JackknifeEstimate | None

    @property
    def can_tell(self) -> bool:
        return self.beyond is not None and self.beyond.is_enough

    @property
    def chance(self) -> float:
        """The p-value of being within the limit."""
        return self.beyond.chance_above() if self.beyond else 1.0

    def __str__(self) -> str:
        figures = f"{self.name}: {self.value:.4g} against {self.theirs:.4g}"
        if self.gain is None or not self.gain.is_enough:
            return figures
        return f"{figures}, worse by {_interval(_loss(self.gain))}"


def _paired_slices(gate: NoSliceWorse, mine: GateScores, other: Scores) -> list[_SlicePair]:
    theirs = {part.value: part for part in other.slices}
    pairs = [
        _pair(gate, mine, part, theirs[part.value])
        for part in mine.scores.slices
        if part.value in theirs and part.rows >= gate.min_rows
    ]
    return [p for p in pairs if math.isfinite(p.value) or math.isfinite(p.theirs)]


def _pair(gate: NoSliceWorse, mine: GateScores, part: Slice, other: Slice) -> _SlicePair:
    goal = mine.goal(gate)
    value, theirs = (each.metrics.get(mine.metric, math.nan) for each in (part, other))
    within = _is_better(value, theirs, goal, -gate.by)
    allowed = gain_estimate(part, other, mine.metric, goal, by=-gate.by)
    return _SlicePair(
        value=value,
        theirs=theirs,
        name=part.value,
        is_worse=within is False,
        gain=gain_estimate(part, other, mine.metric, goal),
        beyond=replace(allowed, value=-allowed.value) if allowed is not None else None,
    )


def _slice_result(
    gate: NoSliceWorse, compared: list[_SlicePair], worse: list[_SlicePair]
) -> GateResult:
    if worse:
        figures = "; ".join(map(str, worse[:5]))
        evidence = (
            f"worse by more than {gate.by:.0%} in {len(worse)} of {len(compared)} ({figures})"
        )
        return _failed(gate, evidence)
    evidence = f"none of {plural(len(compared), 'slice')} is worse by more than {gate.by:.0%}"
    if gate.confidence is not None:
        evidence += f" with a confidence of {gate.confidence:.4g} (Holm)"
    return GateResult(gate=str(gate), passed=True, evidence=evidence)


def _failed(gate: BeatsLive | BeatsBaseline | NoSliceWorse, evidence: str) -> GateResult:
    return GateResult(gate=str(gate), passed=False, evidence=evidence)


def _undecided(found: GateResult, evidence: str) -> GateResult:
    return GateResult(
        gate=found.gate,
        passed=False,
        unknown=True,
        evidence=f"{evidence}: not enough data to tell",
        difference=found.difference,
    )
