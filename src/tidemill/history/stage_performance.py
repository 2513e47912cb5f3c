"""Compute performance figures of stages from the recorded attempts at their steps.

Figures are kept as sums and counts that are merged: of the days of a month, or of what was read before and
what is new. Sums are whole numbers (of microseconds, of billionths of a currency), so that they are the same
in whatever order they are made. Durations are counted by their first three digits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import field
from itertools import accumulate
from math import isfinite

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import add_amounts, attempt_quantities
from tidemill.ledger.performance import Percentiles, Performance
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Attempt, Outcome

# Actions that compute something; the others take hardly any time.
_WORK = (Action.RUN, Action.TRAIN, Action.EVALUATE, Action.DELIVER)
_TRIED = (Outcome.OK, Outcome.FAILED, Outcome.RETRIED)
_MICRO, _NANO = 1_000_000, 1_000_000_000


def is_computation(attempt: Attempt) -> bool:
    """Whether an attempt computed something, and so counts in the figures."""
    return attempt.action in _WORK and attempt.outcome in _TRIED


@dataclass(slots=True, kw_only=True)
class AttemptTally:
    """Sums over attempts at the steps of a stage.

    `charged_us`, `spent_nano` and `amounts` (CPU time, spending of memos, costs by currency) are of all
    attempts, also of trials and checks; all else is of those that computed something. The attempts of a run
    come one after the other.
    """

    attempts: int = 0
    failed: int = 0
    retried: int = 0
    runs: int = 0
    workers: int = 0
    wall: dict[float, int] = field(default_factory=dict)
    queue: dict[float, int] = field(default_factory=dict)
    good_us: int = 0
    good_rows_in: int = 0
    good_bytes_in: int = 0
    rows_in: int = 0
    rows_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    quarantined: int = 0
    cpu_us: int = 0
    peak_rss: int = 0
    charged_us: int = 0
    spent_nano: int = 0
    amounts: dict[str, float] = field(default_factory=dict)
    first_run: str = ""
    last_run: str = ""
    last_workers: list[str] = field(default_factory=list)

    def add(self, run: str, attempt: Attempt, price: Price | None = None) -> None:
        """Add an attempt of a run, which costs what the price says."""
        if price is not None:
            add_amounts(self.amounts, {price.currency: attempt_quantities(attempt).cost(price)})
        self.charged_us += whole_units(attempt.cpu_s, _MICRO)
        if attempt.memo is not None:
            self.spent_nano += whole_units(attempt.memo.spent, _NANO)
        if not is_computation(attempt):
            return
        self._add_run(run, attempt.worker)
        self.attempts += 1
        self.retried += attempt.outcome is Outcome.RETRIED
        self.rows_in += attempt.rows_in
        self.rows_out += attempt.rows_out
        self.bytes_in += attempt.bytes_in
        self.bytes_out += attempt.bytes_out
        self.quarantined += attempt.quarantined
        self.cpu_us += whole_units(attempt.cpu_s, _MICRO)
        self.peak_rss = max(self.peak_rss, attempt.peak_rss)
        _count(self.queue, attempt.queued_s)
        if attempt.outcome is not Outcome.OK:
            self.failed += 1
            return
        _count(self.wall, attempt.wall_s)
        self.good_us += whole_units(attempt.wall_s, _MICRO)
        self.good_rows_in += attempt.rows_in
        self.good_bytes_in += attempt.bytes_in

    def _add_run(self, run: str, worker: str) -> None:
        if run != self.last_run or not self.runs:
            self.first_run = self.first_run if self.runs else run
            self.runs, self.last_run, self.last_workers = self.runs + 1, run, []
        if worker not in self.last_workers:
            self.last_workers.append(worker)
            self.workers = max(self.workers, len(self.last_workers))

    def merge(self, later: AttemptTally) -> None:
        """Add the sums of attempts that follow; a run that goes on there counts once."""
        if later.runs:
            goes_on = bool(self.runs) and later.first_run == self.last_run
            self.first_run = self.first_run if self.runs else later.first_run
            self.runs += later.runs - goes_on
            self.last_run, self.last_workers = later.last_run, [*later.last_workers]
        self.workers = max(self.workers, later.workers)
        self.peak_rss = max(self.peak_rss, later.peak_rss)
        for own, other in ((self.wall, later.wall), (self.queue, later.queue)):
            for seconds, count in other.items():
                own[seconds] = own.get(seconds, 0) + count
        add_amounts(self.amounts, later.amounts)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(later, name))

    def performance(self, stage: str) -> Performance:
        """The figures of a stage; `error_rate` is 0 without attempts."""
        took = self.good_us / _MICRO
        written = self.rows_out + self.quarantined
        return Performance(
            stage=stage,
            runs=self.runs,
            attempts=self.attempts,
            failed=self.failed,
            retried=self.retried,
            error_rate=self.failed / self.attempts if self.attempts else 0.0,
            wall=percentiles(self.wall),
            queue=percentiles(self.queue),
            rows_per_s=self.good_rows_in / took if took else None,
            bytes_per_s=self.good_bytes_in / took if took else None,
            cpu_s=self.cpu_us / _MICRO,
            peak_rss=self.peak_rss,
            workers=self.workers,
            rows_in=self.rows_in,
            rows_out=self.rows_out,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            quarantined=self.quarantined,
            quarantine_rate=self.quarantined / written if written else 0.0,
            charged_cpu_s=self.charged_us / _MICRO,
            spent=self.spent_nano / _NANO,
        )


_SUMS = (
    *("attempts", "failed", "retried", "good_us", "good_rows_in", "good_bytes_in", "rows_in"),
    *("rows_out", "bytes_in", "bytes_out", "quarantined", "cpu_us", "charged_us", "spent_nano"),
)


def stage_performances(tried: Iterable[tuple[str, Attempt]]) -> tuple[Performance, ...]:
    """The figures of each stage, in order of appearance; `tried` are pairs of a run and an attempt."""
    found: dict[str, AttemptTally] = {}
    for run, attempt in tried:
        if is_computation(attempt):
            found.setdefault(attempt.stage, AttemptTally()).add(run, attempt)
    return tuple(tally.performance(stage) for stage, tally in found.items())


def percentiles(counts: Mapping[float, int]) -> Percentiles:
    """The median and the 95th percentile of counted durations in seconds, by the nearest rank."""
    total = sum(counts.values())
    if not total:
        return Percentiles()
    values = sorted(counts)
    ranks = [*accumulate(counts[value] for value in values)]
    p50, p95 = (total + 1) // 2, (95 * total + 99) // 100
    return Percentiles(
        p50=values[bisect_left(ranks, p50)],
        p95=values[bisect_left(ranks, p95)],
    )


def whole_units(number: float, units: int) -> int:
    """A number in whole units; 0 for one below 0, and for one that isn't finite."""
    return round(number * units) if isfinite(number) and number > 0 else 0


def _count(counts: dict[float, int], seconds: float) -> None:
    """Count a duration by its first three digits."""
    known = float(f"{seconds:.3g}") if isfinite(seconds) and seconds > 0 else 0.0
    counts[known] = counts.get(known, 0) + 1
