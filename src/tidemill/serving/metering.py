"""Divide what a process used among the requests that it answered, so that the parts add up to the whole.

Around the work of each request its CPU time is measured, which leaves out what the server does for it
elsewhere: reading sockets, parsing HTTP, the event loop. So every few seconds the measured parts are
scaled to what the process used in that time. What it uses without any request is the idle part, which
belongs to no request, but to the versions that are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tidemill.ledger.event import Served
from tidemill.ledger.usage import ServedUsage
from tidemill.runs.totals import Price
from tidemill.serving.counters import SeriesTotals, Snapshot

# The weight of the newest window without requests in the idle rate.
_NEWEST = 0.3
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredWindow:
    """A few seconds of a process: its CPU time, that of its background work, and that of its requests.

    `measured` has the CPU time of the requests by series, `resident` which series are loaded.
    `memory_bytes` is what the process held. Times are in nanoseconds.
    """

    wall_ns: int
    process_ns: int
    background_ns: int
    measured: tuple[int, ...]
    resident: tuple[bool, ...]
    memory_bytes: int

    @property
    def is_idle(self) -> bool:
        """Whether there were no requests."""
        return not any(self.measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """What each series is charged for a window: `requests` and `idle` add up, with `unshared`, to its CPU."""

    requests: tuple[int, ...]
    idle: tuple[int, ...]
    memory_byte_s: tuple[int, ...]
    unshared: int


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number by weights, so that the parts add up to it exactly.

    Each part differs from the exact share by less than 1. Weights that are all 0 count as equal.
    """
    weights = weights if any(weights) else [1] * len(weights)
    ends = list(accumulate(weights, initial=0))
    cuts = [total * end // ends[-1] if ends[-1] else 0 for end in ends]
    return [after - before for before, after in pairwise(cuts)]


def charge(window: MeteredWindow, idle_rate: float) -> Charges:
    """Divide the CPU time and the memory of a window; `idle_rate` is CPU time per time without requests."""
    own = sum(window.measured)
    background = min(window.background_ns, window.process_ns)
    left = window.process_ns - background
    idle = left if not own else min(int(idle_rate * window.wall_ns), max(0, left - own))
    loaded = [int(each) for each in window.resident]
    shared = (idle + background) if any(loaded) else 0
    held = window.memory_bytes * window.wall_ns // 1_000_000_000 if any(loaded) else 0
    return Charges(
        requests=tuple(split(left - idle, window.measured) if own else [0] * len(loaded)),
        idle=tuple(split(shared, loaded) if shared else [0] * len(loaded)),
        memory_byte_s=tuple(split(held, loaded) if held else [0] * len(loaded)),
        unshared=idle + background - shared,
    )


def next_idle_rate(known: float | None, window: MeteredWindow) -> float | None:
    """The CPU time per time without requests, after a window; None before there was one without any."""
    if not window.is_idle or window.wall_ns <= 0:
        return known
    left = window.process_ns - min(window.background_ns, window.process_ns)
    rate = left / window.wall_ns
    return rate if known is None else known + _NEWEST * (rate - known)


def usage_of(totals: SeriesTotals) -> ServedUsage:
    """What a series used, as the ledger records it."""
    last = max((at for at, count in enumerate(totals.latency) if count), default=-1)
    return ServedUsage(
        endpoint=totals.endpoint,
        version=totals.version,
        requests=totals.requests,
        rows=totals.rows,
        cpu_s=totals.charged_ns / 1e9,
        idle_cpu_s=totals.idle_ns / 1e9,
        memory_gb_s=totals.memory_byte_s / GB,
        wall_s=totals.wall_ns / 1e9,
        cache_hits=totals.cache_hits,
        errors=dict(totals.errors),
        latency=totals.latency[: last + 1],
    )


def served_event(
    period: Snapshot, *, environment: str, since: float, until: float, price: Price
) -> Served:
    """The event of a period, from the difference of the snapshots at its ends."""
    used = [each for each in period.series if each.requests or each.used_ns or each.memory_byte_s]
    return Served(
        environment=environment,
        since=since,
        until=until,
        usages=tuple(map(usage_of, used)),
        cpu_hour=price.cpu_hour,
        memory_gb_hour=price.memory_gb_hour,
        currency=price.currency,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCost:
    """The cost of a version at an endpoint: of its requests alone, and with its share of all else.

    `per_row` divide these by the rows that were predicted; None without any.
    """

    endpoint: str
    version: str
    marginal: float
    full: float
    marginal_per_row: float | None
    full_per_row: float | None


def serving_costs(snapshot: Snapshot, price: Price) -> list[ServingCost]:
    """The costs of all versions at all endpoints."""
    return [_cost(usage_of(each), price) for each in snapshot.series]


def _cost(usage: ServedUsage, price: Price) -> ServingCost:
    marginal = price.of(usage.cpu_s)
    full = price.of(usage.cpu_s + usage.idle_cpu_s, usage.memory_gb_s)
    return ServingCost(
        endpoint=usage.endpoint,
        version=usage.version,
        marginal=marginal,
        full=full,
        marginal_per_row=marginal / usage.rows if usage.rows else None,
        full_per_row=full / usage.rows if usage.rows else None,
    )
