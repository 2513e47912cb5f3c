"""What served requests used, as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedUsage:
    """The requests to a version of a model at an endpoint in a period, and what they used.

    `cpu_s` is the CPU time of the requests themselves, `idle_cpu_s` and `memory_gb_s` (gigabytes of resident
    memory times seconds) the share of what the servers used beside them. `errors` counts replies by status,
    `wall_s` adds up the times of all requests, and `latency` counts them by the buckets of
    `serving/buckets.py`, without the empty ones at the end.
    """

    endpoint: str
    version: str
    requests: int
    rows: int
    cpu_s: float
    idle_cpu_s: float
    memory_gb_s: float
    wall_s: float
    cache_hits: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = ()
