"""The metrics of stages, runs and objectives as families, in which Prometheus and OpenTelemetry are written.

Counters are sums over the events that were read since the first that is known, so that they go on when a
process is started again. Partitions are no labels: there is no end to them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.objectives import ObjectiveStatus, judge_objectives
from tidemill.operations.problem import Problem
from tidemill.serving.metric_families import BucketCounts, Family, Kind, Labels

DURATION_ENDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
# Of a metric: those of more stages are left out.
MOST_SERIES = 2_000
_Point = tuple[Labels, float | BucketCounts]
_COUNTERS = (
    ("tidemill_stage_retries_total", "retried", 1.0, "Attempts that failed and were retried."),
    ("tidemill_stage_read_rows_total", "rows_in", 1.0, "Rows that attempts read."),
    ("tidemill_stage_written_rows_total", "rows_out", 1.0, "Rows that attempts wrote."),
    ("tidemill_stage_read_bytes_total", "bytes_in", 1.0, "Bytes that attempts read."),
    ("tidemill_stage_written_bytes_total", "bytes_out", 1.0, "Bytes that attempts wrote."),
    ("tidemill_stage_quarantined_rows_total", "quarantined", 1.0, "Rows sent to quarantine."),
    ("tidemill_stage_cpu_seconds_total", "charged_us", 1e6, "CPU time of all attempts."),
)


def stage_families(
    metrics: LedgerMetrics, problems: Iterable[Problem], now: float, workflow: str
) -> list[Family]:
    """All metrics of an environment at a time (Unix seconds); those without points are left out."""
    label = {"workflow": workflow, "environment": metrics.environment}
    totals = sorted(metrics.totals.items())
    families = [
        Family("tidemill_stage_attempts_total", "counter", "Ended attempts at steps by outcome.",
               [({**label, "stage": stage, "outcome": outcome}, count)
                for stage, outcomes in sorted(metrics.outcomes.items())
                for outcome, count in sorted(outcomes.items())]),
        *(Family(name, "counter", about,
                 [({**label, "stage": stage}, _number(getattr(tally, field), unit))
                  for stage, tally in totals])
          for name, field, unit, about in _COUNTERS),
        Family("tidemill_stage_cost_total", "counter", "Cost of all attempts.",
               [({**label, "stage": stage, "currency": currency}, amount)
                for stage, tally in totals
                for currency, amount in sorted(tally.amounts.items())]),
        Family("tidemill_stage_duration_seconds", "histogram", "Durations of successful attempts.",
               [({**label, "stage": stage}, _histogram(tally.wall, tally.good_us / 1e6))
                for stage, tally in totals if tally.wall]),
        Family("tidemill_stage_queue_seconds", "histogram",
               "Times that attempts waited for a process.",
               [({**label, "stage": stage}, _histogram(tally.queue, None))
                for stage, tally in totals if tally.queue]),
        *_freshness(metrics, label, now),
        Family("tidemill_stage_failing_partitions", "gauge", "Partitions that fail now.",
               [({**label, "stage": stage}, _failing(metrics, stage)) for stage, _ in totals]),
        Family("tidemill_runs_total", "counter", "Ended runs by status.",
               [({**label, "status": status}, count)
                for status, count in sorted(metrics.runs.items())]),
        *_objectives(judge_objectives(metrics, now), label),
        _problems(problems, label),
        Family("tidemill_ledger_event_number", "gauge", "The newest event that is counted.",
               [(label, metrics.seq)]),
    ]  # fmt: skip
    return [family for family in families if family.points]


def estimate_families(errors: EstimateErrors, label: Labels) -> list[Family]:
    """How far estimates of costs were off; nothing without runs that had one."""
    if errors.median_error is None:
        return []
    about = "Median error of the estimated costs of the last runs, as a part of what they cost."
    return [
        Family("tidemill_cost_estimate_error_ratio", "gauge", about, [(label, errors.median_error)])
    ]


def _number(value: int, unit: float) -> float:
    return value / unit if unit != 1 else value


def _failing(metrics: LedgerMetrics, stage: str) -> int:
    failure = metrics.failing.get(stage)
    return len(failure.partitions) if failure is not None else 0


def _histogram(counts: Mapping[float, int], total: float | None) -> BucketCounts:
    found = [0] * (len(DURATION_ENDS) + 1)
    for seconds, count in counts.items():
        found[bisect_left(DURATION_ENDS, seconds)] += count
    return BucketCounts(found, DURATION_ENDS, total)


def _freshness(metrics: LedgerMetrics, label: Labels, now: float) -> list[Family]:
    known = [
        ({**label, "stage": stage}, watermark.current)
        for stage, watermark in sorted(metrics.watermarks.items())
    ]
    marks = [(labels, mark) for labels, mark in known if mark is not None]
    published: list[_Point] = [
        ({**label, "stage": stage}, at) for stage, at in sorted(metrics.published.items())
    ]
    return [
        Family(
            "tidemill_stage_watermark_timestamp_seconds",
            "gauge",
            "Time up to which a stage's data are published.",
            [*marks],
        ),
        Family(
            "tidemill_stage_freshness_seconds",
            "gauge",
            "Age of the newest published data of a stage.",
            [(labels, now - mark) for labels, mark in marks],
        ),
        Family(
            "tidemill_stage_published_timestamp_seconds",
            "gauge",
            "Time of the last publication of a stage.",
            published,
        ),
    ]


def _objectives(statuses: Sequence[ObjectiveStatus], label: Labels) -> list[Family]:
    def family(name: str, about: str, points: Iterable[_Point]) -> Family:
        kind: Kind = "gauge"
        return Family(f"tidemill_objective_{name}", kind, about, [*points])

    named = [({**label, "objective": each.objective.name}, each) for each in statuses]
    burns = (
        ({**labels, "window": _window(seconds)}, rate)
        for labels, each in named
        for burn in each.burns
        for seconds, rate in (
            (burn.windows.long, burn.long),
            (burn.windows.short, burn.short),
        )
        if rate is not None
    )
    return [
        family("target", "Share that is to be good.",
               ((labels, each.objective.target) for labels, each in named)),
        family("achieved", "Share that was good in the window of the objective.",
               ((labels, each.achieved) for labels, each in named if each.achieved is not None)),
        family("budget_left", "Share of the allowed errors that is left.",
               ((labels, each.budget_left) for labels, each in named if each.budget_left is not None)),
        family("burn_rate", "How many times as fast as allowed errors come.", _distinct(burns)),
    ]  # fmt: skip


def _distinct(points: Iterable[_Point]) -> Iterable[_Point]:
    """Points without those of the same labels: 6 hours are the long and the short window of a pair."""
    return {tuple(labels.items()): (labels, value) for labels, value in points}.values()


def _window(seconds: float) -> str:
    return f"{seconds / 3600:.0f}h" if seconds >= 3600 else f"{seconds / 60:.0f}m"


def _problems(problems: Iterable[Problem], label: Labels) -> Family:
    counts: dict[tuple[str, str], int] = {}
    for each in problems:
        name = str(each.kind), str(each.severity)
        counts[name] = counts.get(name, 0) + 1
    return Family(
        "tidemill_problems",
        "gauge",
        "Problems that hold now.",
        [
            ({**label, "kind": kind, "severity": severity}, count)
            for (kind, severity), count in sorted(counts.items())
        ],
    )


def limit_series(families: Iterable[Family], most: int = MOST_SERIES) -> list[Family]:
    """Families of at most so many series each; how many are left out is a metric itself."""
    every = [*families]
    found = [replace(family, points=family.points[:most]) for family in every]
    lost = sum(len(family.points) for family in every) - sum(len(each.points) for each in found)
    if lost:
        about = "Series that are left out because there are too many."
        found.append(Family("tidemill_left_out_series", "gauge", about, [({}, lost)]))
    return found
