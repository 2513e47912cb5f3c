"""Judge objectives: what was achieved, what is left of the allowed errors, and whether they come too fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.burn_rate import LEAST_EVENTS, Burn, measure_burns
from tidemill.operations.failure_detector import FailureDetector
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.objective_settings import Objective, ObjectiveKind
from tidemill.operations.outcome_counts import OutcomeCounts
from tidemill.operations.problem import ProblemSeverity
from tidemill.operations.watermarks import StageWatermark

# The seconds of a window are a sum of differences of floats.
_WHOLE = 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """How an objective is met.

    `achieved` is the share of good events, or of good seconds; `budget_left` is the share of the allowed bad
    ones that is left, which is negative if there were more. Both are None without any. `evidence` is that of
    the detector of failures as a share of its threshold, for objectives with too few events for `burns`.
    """

    objective: Objective
    good: float = 0.0
    bad: float = 0.0
    burns: tuple[Burn, ...] = ()
    evidence: float | None = None

    @property
    def achieved(self) -> float | None:
        """The share of what was good."""
        total = self.good + self.bad
        return self.good / total if total else None

    @property
    def budget_left(self) -> float | None:
        """The share of what may be bad that is left."""
        total = self.good + self.bad
        return 1 - self.bad / total / self.objective.allowed if total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveBreach:
    """Errors of an objective come too fast since a time (Unix seconds); `why` says what shows it."""

    status: ObjectiveStatus
    since: float
    severity: ProblemSeverity
    why: str


def judge_objectives(metrics: LedgerMetrics, now: float) -> tuple[ObjectiveStatus, ...]:
    """How each objective is met now."""
    return tuple(_status(metrics, objective, now) for objective in metrics.objectives)


def find_breaches(metrics: LedgerMetrics, now: float) -> Iterator[ObjectiveBreach]:
    """The objectives whose errors come too fast."""
    for status in judge_objectives(metrics, now):
        found = _breach(metrics, status, now)
        if found is not None:
            yield found


def _status(metrics: LedgerMetrics, objective: Objective, now: float) -> ObjectiveStatus:
    empty = ObjectiveStatus(objective=objective)
    if objective.kind is ObjectiveKind.FRESHNESS:
        watermark = metrics.watermarks.get(objective.subject)
        if watermark is None:
            return empty
        missed = _missed(watermark, objective, now)
        bad, known = missed(objective.window)
        return replace(
            empty, good=known - bad, bad=bad, burns=measure_burns(missed, objective.allowed)
        )
    counts = metrics.counts.get(objective.name)
    if counts is None:
        return empty
    good, bad = counts.within(objective.window, now)
    burns = measure_burns(_bad_events(counts, now), objective.allowed)
    detector = metrics.detectors.get(objective.name)
    has_few = all(burn.events < LEAST_EVENTS for burn in burns)
    return replace(
        empty,
        good=good,
        bad=bad,
        burns=burns,
        evidence=detector.level if detector is not None and has_few else None,
    )


def _breach(metrics: LedgerMetrics, status: ObjectiveStatus, now: float) -> ObjectiveBreach | None:
    objective = status.objective
    is_time = objective.kind is ObjectiveKind.FRESHNESS
    for burn in status.burns:
        # A first build publishes old data until it is over: of a time less than the window nothing is said.
        least = _WHOLE * burn.windows.long if is_time else LEAST_EVENTS
        if burn.exceeds and burn.events >= least:
            return ObjectiveBreach(
                status=status,
                since=_begun(metrics, objective, burn, now),
                severity=burn.windows.severity,
                why=f"errors come {burn.long:.3g} times as fast as allowed",
            )
    detector = metrics.detectors.get(objective.name)
    if status.evidence is None or status.evidence < 1 or detector is None:
        return None
    return _detected(status, detector, now)


def _detected(status: ObjectiveStatus, detector: FailureDetector, now: float) -> ObjectiveBreach:
    return ObjectiveBreach(
        status=status,
        since=now if detector.since is None else detector.since,
        severity=ProblemSeverity.TICKET,
        why=f"more than {status.objective.allowed:.3g} of the events are bad",
    )


def _begun(metrics: LedgerMetrics, objective: Objective, burn: Burn, now: float) -> float:
    """When the errors began that a pair of windows shows."""
    if objective.kind is ObjectiveKind.FRESHNESS:
        history = metrics.watermarks[objective.subject].history
        return min(max(history[-1][1] + objective.limit, now - burn.windows.long), now)
    first = metrics.counts[objective.name].first_bad(burn.windows.long, now)
    return now if first is None else min(first, now)


def _missed(
    watermark: StageWatermark, objective: Objective, now: float
) -> Callable[[float], tuple[float, float]]:
    return lambda seconds: watermark.missed_seconds(objective.limit, now - seconds, now)


def _bad_events(counts: OutcomeCounts, now: float) -> Callable[[float], tuple[float, float]]:
    def bad_of_all(seconds: float) -> tuple[float, float]:
        good, bad = counts.within(seconds, now)
        return bad, good + bad

    return bad_of_all
