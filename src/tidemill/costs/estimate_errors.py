"""How far estimates of what runs cost were from what they did cost."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from tidemill.core.lazy_dataclass import dataclass

# Runs that are looked back at.
LAST_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateErrors:
    """The errors of the estimates of the last runs.

    `median_error` is that of the differences regardless of their sign, `bias` that of the differences, both
    as a part of what the runs cost; None without runs.
    """

    runs: int = 0
    median_error: float | None = None
    bias: float | None = None


def estimate_errors(pairs: Iterable[tuple[float, float]]) -> EstimateErrors:
    """The errors of (estimate, cost) pairs in the order of the runs, of which the last ones count."""
    errors = [(estimate - cost) / cost for estimate, cost in pairs if cost > 0][-LAST_RUNS:]
    if not errors:
        return EstimateErrors()
    return EstimateErrors(
        runs=len(errors),
        median_error=median(map(abs, errors)),
        bias=median(errors),
    )
