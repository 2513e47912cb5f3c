"""Compute performance figures of stages from the recorded attempts at their steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tidemill.ledger.performance import Percentiles, Performance
from tidemill.ledger.run import Action, Attempt, Outcome

# Actions that compute something; the others take hardly any time.
_WORK = (Action.RUN, Action.TRAIN, Action.EVALUATE, Action.DELIVER)
_TRIED = (Outcome.OK, Outcome.FAILED, Outcome.RETRIED)


def is_computation(attempt: Attempt) -> bool:
    """Whether an attempt computed something, and so counts in the figures."""
    return attempt.action in _WORK and attempt.outcome in _TRIED


def stage_performances(tried: Iterable[tuple[str, Attempt]]) -> tuple[Performance, ...]:
    """The figures of each stage, in order of appearance; `tried` are pairs of a run and an attempt."""
    found: defaultdict[str, list[tuple[str, Attempt]]] = defaultdict(list)
    for run, attempt in tried:
        if is_computation(attempt):
            found[attempt.stage].append((run, attempt))
    return tuple(_performance(stage, own) for stage, own in found.items())


def _performance(stage: str, tried: Sequence[tuple[str, Attempt]]) -> Performance:
    attempts = [attempt for _, attempt in tried]
    good = [attempt for attempt in attempts if attempt.outcome is Outcome.OK]
    processes: defaultdict[str, set[str]] = defaultdict(set)
    for run, attempt in tried:
        processes[run].add(attempt.worker)
    failed, took = len(attempts) - len(good), sum(attempt.wall_s for attempt in good)
    return Performance(
        stage=stage,
        runs=len(processes),
        attempts=len(attempts),
        failed=failed,
        retried=sum(attempt.outcome is Outcome.RETRIED for attempt in attempts),
        error_rate=failed / len(attempts),
        wall=percentiles([attempt.wall_s for attempt in good]),
        queue=percentiles([attempt.queued_s for attempt in attempts]),
        rows_per_s=sum(attempt.rows_in for attempt in good) / took if took else None,
        bytes_per_s=sum(attempt.bytes_in for attempt in good) / took if took else None,
        cpu_s=sum(attempt.cpu_s for attempt in attempts),
        peak_rss=max(attempt.peak_rss for attempt in attempts),
        workers=max(map(len, processes.values())),
    )


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """The median and the 95th percentile of some durations in seconds, by the nearest rank."""
    if not seconds:
        return Percentiles()
    ranked, count = sorted(seconds), len(seconds)
    return Percentiles(p50=ranked[(count + 1) // 2 - 1], p95=ranked[(95 * count + 99) // 100 - 1])
