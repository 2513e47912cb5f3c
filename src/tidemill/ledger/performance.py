"""Performance statistics of a stage's steps: counts, error rate, times, throughput."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """The 50th and 95th percentile of durations in seconds; None without any."""

    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Statistics of a stage's attempts that computed something, over some runs.

    `failed` counts all failed attempts, `retried` those of them that were retried; `error_rate` is the
    share that failed. `wall` are the durations of successful attempts, `queue` the times that attempts
    waited for a worker. `rows_per_s` and `bytes_per_s` are what successful attempts read per second of
    their time; None if they took no time. `cpu_s` is the total of all attempts, `peak_rss` (bytes) the
    maximum of any process, `workers` the maximum number of processes that shared the steps of one run.

    Rows and bytes are those of all attempts, and `quarantine_rate` the share of the rows that went to
    quarantine. `charged_cpu_s` and `spent` (on memos) are the cost, which trials and checks are part of.
    Durations have three digits.
    """

    stage: str
    runs: int
    attempts: int
    failed: int
    retried: int
    error_rate: float
    wall: Percentiles
    queue: Percentiles
    rows_per_s: float | None
    bytes_per_s: float | None
    cpu_s: float
    peak_rss: int
    workers: int
    rows_in: int = 0
    rows_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    quarantined: int = 0
    quarantine_rate: float = 0.0
    charged_cpu_s: float = 0.0
    spent: float = 0.0
