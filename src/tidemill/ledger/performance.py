"""How often, how long and how well the steps of a stage ran."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The middle of some seconds, and what only a twentieth of them exceeds; None of none."""

    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A stage's tries at making something, over some runs.

    `failed` counts all tries that failed, `retried` those of them that were followed by another one;
    `error_rate` is the share that failed. `wall` is how long those that succeeded took, `queue` how
    long tries waited for a worker. Rows and bytes a second are what successful ones read, per second
    that they took; None when they took none. `cpu_s` is that of all tries together, `peak_rss` (bytes)
    the most that a process held; `workers` the most processes that shared the steps of one run.
    """

    stage: str
    runs: int
    attempts: int
    failed: int
    retried: int
    error_rate: float
    wall: Spread
    queue: Spread
    rows_per_s: float | None
    bytes_per_s: float | None
    cpu_s: float
    peak_rss: int
    workers: int
