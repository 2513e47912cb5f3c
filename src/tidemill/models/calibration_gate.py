"""Judge whether a candidate's probabilities are calibrated, from the scores of its evaluation."""

from __future__ import annotations

import math

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.intervals import MIN_DAYS, metric_estimate
from tidemill.workflow.gate import Curve, GateResult, Scores
from tidemill.workflow.recorded_gates import CALIBRATION_ERROR, Calibrated

# The curve from which the error follows where the scores lack the metric.
CURVE = "calibration"
# The bins that the metric has unless it is declared with others.
_BINS = 10
# The mean of the absolute value of a standard normal variable.
_MEAN_NORMAL = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calibration:
    """A calibration error over rows, and the one that perfect probabilities would have by chance."""

    error: float
    by_chance: float
    rows: int


def judge_calibration(gate: Calibrated, metric: str, scores: Scores) -> GateResult:
    """Judge the calibration error in a candidate's scores; missing figures never pass."""
    found = _calibration(metric, scores)
    if isinstance(found, str):
        return GateResult(gate=str(gate), passed=False, evidence=found)
    evidence = f"an error of {found.error:.3g} over {plural(found.rows, 'row')}"
    wanted = f"at most {gate.max_error:g}"
    if gate.confidence is not None:
        return _with_confidence(gate, gate.confidence, metric, scores, evidence)
    if found.by_chance > gate.max_error:
        few = f"so few rows have {found.by_chance:.2g} by chance: not enough data to tell"
        return _unknown(gate, f"{evidence}, {wanted}; {few}")
    passed = found.error <= gate.max_error
    return GateResult(gate=str(gate), passed=passed, evidence=f"{evidence}, {wanted}")


def _calibration(metric: str, scores: Scores) -> _Calibration | str:
    """The calibration error in scores, or why there is none."""
    if not scores.rows:
        return "no row was scored"
    curve = scores.curves.get(CURVE)
    if metric not in scores.metrics:
        if metric != CALIBRATION_ERROR:
            return f"there is no metric {metric!r} among {', '.join(scores.metrics)}"
        if curve is None:
            return "the scores have no calibration: add tm.metrics.calibration_error(...)"
        return _of_curve(curve)
    error = scores.metrics[metric]
    if not 0 <= error <= 1:
        return (
            f"{metric} is {error:g} over {plural(scores.rows, 'row')}: a prediction is missing, "
            "or they are no probabilities"
        )
    of_curve = _of_curve(curve) if curve is not None else ""
    if isinstance(of_curve, str):
        # Outcomes of probability 1/2, evenly spread over the bins, vary most.
        chance = min(0.5, _MEAN_NORMAL * 0.5 * math.sqrt(_BINS / scores.rows))
        return _Calibration(error=error, by_chance=chance, rows=scores.rows)
    return _Calibration(error=error, by_chance=of_curve.by_chance, rows=of_curve.rows)


def _of_curve(curve: Curve) -> _Calibration | str:
    """The calibration error of a curve of probabilities, or why it has none."""
    names = ("predicted", "actual", "rows")
    missing = [name for name in names if name not in curve]
    if missing:
        return f"the calibration curve has no column {missing[0]!r}"
    bins = [*zip(*(curve[name] for name in names), strict=False)]
    rows = sum(count for _, _, count in bins)
    if not 0 < rows < math.inf:
        return "the calibration curve has no rows"
    if not all(0 <= p <= 1 and 0 <= a <= 1 and n > 0 for p, a, n in bins):
        return "the calibration curve isn't one of probabilities: name the class, positive="
    error = math.fsum(n * abs(p - a) for p, a, n in bins) / rows
    noise = math.fsum(math.sqrt(n * p * (1 - p)) for p, _, n in bins) / rows
    return _Calibration(error=error, by_chance=_MEAN_NORMAL * noise, rows=round(rows))


def _with_confidence(
    gate: Calibrated, confidence: float, metric: str, scores: Scores, evidence: str
) -> GateResult:
    """Require that the whole interval of the error is below the limit; above it, the gate fails."""
    estimate = metric_estimate(scores, metric)
    if estimate is None:
        need = "confidence needs tm.metrics.calibration_error(...) and tm.scores(..., day=...)"
        return _unknown(gate, f"{evidence}; {need}: not enough data to tell")
    if not estimate.is_enough:
        days = f"{plural(estimate.days, 'day')} can't tell ({MIN_DAYS} can)"
        return _unknown(gate, f"{evidence}; {days}: not enough data to tell")
    found = estimate.interval(confidence)
    evidence = (
        f"{evidence} ({confidence:.4g}: {found.low:.3g} to {found.high:.3g}, "
        f"{plural(found.days, 'day')}), at most {gate.max_error:g}"
    )
    if found.high <= gate.max_error:
        return GateResult(gate=str(gate), passed=True, evidence=evidence, difference=None)
    if found.low > gate.max_error:
        return GateResult(gate=str(gate), passed=False, evidence=evidence)
    return _unknown(gate, f"{evidence}: not enough data to tell")


def _unknown(gate: Calibrated, evidence: str) -> GateResult:
    return GateResult(gate=str(gate), passed=False, unknown=True, evidence=evidence)
