"""Find what is wrong with stages and objectives now: failed and stale stages, breaches, anomalies.

The same problem has the same key whenever it is found, also by another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.core.printable import printable
from tidemill.operations.anomalies import Anomaly, find_anomalies
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.objective_settings import ObjectiveKind
from tidemill.operations.objectives import ObjectiveBreach, find_breaches
from tidemill.operations.problem import (
    Problem,
    ProblemKind,
    ProblemSeverity,
    problem_key,
)
from tidemill.operations.run_series import RunMeasure
from tidemill.operations.stage_failures import StageFailure
from tidemill.planning.freshness import format_age
from tidemill.workflow.environment import environment_option


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStage:
    """A stage of which partitions fail, all retries spent."""

    stage: str
    failure: StageFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleStage:
    """A stage whose data are older than the `within` seconds that they may be."""

    stage: str
    watermark: float
    within: float


def find_problems(
    metrics: LedgerMetrics, now: float, within: Mapping[str, float] | None = None
) -> tuple[Problem, ...]:
    """What is wrong now; `within` has the age in seconds that the data of stages may have by contract."""
    environment = metrics.environment
    failed = (
        FailedStage(stage=stage, failure=failure) for stage, failure in metrics.failing.items()
    )
    anomalies = sorted(find_anomalies(metrics.series), key=lambda found: found.stage)
    return (
        *(_failed_problem(found, environment) for found in failed),
        *(_stale_problem(found, environment, now) for found in stale_stages(metrics, now, within)),
        *(_breach_problem(found, environment) for found in find_breaches(metrics, now)),
        *(
            _anomaly_problem(stage, [*found], environment)
            for stage, found in groupby(anomalies, key=lambda found: found.stage)
        ),
    )


def stale_stages(
    metrics: LedgerMetrics, now: float, within: Mapping[str, float] | None = None
) -> Iterator[StaleStage]:
    """The stages whose data are older now than contracts or objectives allow; the strictest limit counts."""
    limits = dict(within or {})
    for objective in metrics.objectives:
        if objective.kind is ObjectiveKind.FRESHNESS:
            known = limits.get(objective.subject, objective.limit)
            limits[objective.subject] = min(known, objective.limit)
    for stage, limit in limits.items():
        known_watermark = metrics.watermarks.get(stage)
        newest = known_watermark.current if known_watermark is not None else None
        if newest is not None and now - newest > limit:
            yield StaleStage(stage=stage, watermark=newest, within=limit)


def _failed_problem(found: FailedStage, environment: str) -> Problem:
    failure = found.failure
    kind = ProblemKind.BROKEN_CONTRACT if failure.is_contract else ProblemKind.FAILED_STAGE
    keys = summarize_keys(failure.partitions)
    count = len(failure.partitions)
    why = "breaks its contract" if failure.is_contract else "fails"
    what = f"{found.stage} {why}" + (f": {plural(count, 'partition')}" if count > 1 else "")
    evidence = {
        "partitions": keys,
        "message": printable(failure.message),
        "ended by": failure.fate,
        "run": failure.run,
    }
    return Problem(
        kind=kind,
        # A stage that fails in another way than before has the same problem still.
        key=problem_key(ProblemKind.FAILED_STAGE, environment, found.stage),
        since=failure.since,
        severity=ProblemSeverity.TICKET,
        title=printable(what),
        stage=found.stage,
        environment=environment,
        evidence={name: text for name, text in evidence.items() if text},
        command=f"tidemill runs logs {failure.run} {found.stage}",
    )


def _stale_problem(found: StaleStage, environment: str, now: float) -> Problem:
    age, limit = format_age(now - found.watermark), format_age(found.within)
    return Problem(
        kind=ProblemKind.STALE_STAGE,
        key=problem_key(ProblemKind.STALE_STAGE, environment, found.stage),
        since=found.watermark + found.within,
        severity=ProblemSeverity.TICKET,
        title=printable(f"{found.stage} is stale: its data are {age} old, not within {limit}"),
        stage=found.stage,
        environment=environment,
        evidence={"age": age, "allowed": limit},
        command=f"tidemill metrics {found.stage}{environment_option(environment)}",
    )


def _breach_problem(found: ObjectiveBreach, environment: str) -> Problem:
    status, objective = found.status, found.status.objective
    left = status.budget_left
    achieved = "unknown" if status.achieved is None else f"{status.achieved:.3%}"
    return Problem(
        kind=ProblemKind.OBJECTIVE_BREACH,
        key=problem_key(ProblemKind.OBJECTIVE_BREACH, environment, objective.name),
        since=found.since,
        severity=found.severity,
        title=printable(
            f"objective {objective.name} of {objective.subject} is at risk: {found.why}"
        ),
        stage=objective.stage,
        environment=environment,
        evidence={
            "target": f"{objective.target:.3%} {objective.kind} in {format_age(objective.window)}",
            "achieved": achieved,
            "budget left": "unknown" if left is None else f"{left:.0%}",
        },
        command=f"tidemill slo{environment_option(environment)}",
    )


def _anomaly_problem(stage: str, found: list[Anomaly], environment: str) -> Problem:
    first = found[0]
    what = (
        f"{first.measure} is {_amount(first, first.value)}, usually {_amount(first, first.usual)}"
    )
    return Problem(
        kind=ProblemKind.ANOMALY,
        key=problem_key(ProblemKind.ANOMALY, environment, stage),
        since=min(each.since for each in found),
        severity=ProblemSeverity.NOTE,
        title=printable(f"{stage} is unusual: its {what}"),
        stage=stage,
        environment=environment,
        evidence={_label(each): _comparison(each) for each in found},
        command=f"tidemill metrics {stage}{environment_option(environment)}",
    )


def _label(found: Anomaly) -> str:
    return str(found.measure) if found.action == "run" else f"{found.measure} ({found.action})"


def _comparison(found: Anomaly) -> str:
    basis = plural(found.weekday_runs, "run") + " of that weekday"
    return (
        f"{_amount(found, found.value)}, usually {_amount(found, found.usual)} (by {basis}), "
        f"for {plural(found.runs, 'run')}"
    )


def _amount(found: Anomaly, value: float) -> str:
    if found.measure in (RunMeasure.LATENCY, RunMeasure.CPU):
        return f"{value:.3g} s"
    if found.measure is RunMeasure.QUARANTINE:
        return f"{value:.2%}"
    if found.measure is RunMeasure.SPENDING:
        return f"{value:.3g}"
    return f"{value:,.0f} {found.measure}"
