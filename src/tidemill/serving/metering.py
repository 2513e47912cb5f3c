"""Divide what a process used among the requests that it answered, so that the parts add up to the whole.

Around the work of each request its CPU time is measured, which leaves out what the server does for it
elsewhere: reading sockets, parsing HTTP, the event loop. That costs much the same for every request, so
every few seconds the rest of what the process used is divided equally among the requests of that time.
What it uses without any request is the idle part, which belongs to no request, but to the versions that are
loaded. So does the cost of requests that are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Served
from tidemill.ledger.price import Price
from tidemill.ledger.usage import ServedUsage
from tidemill.serving.counters import SeriesTotals, Snapshot

# The weight of the newest window in what is known of windows.
_NEWEST = 0.3
# Nanoseconds of a window that counts in full.
_WHOLE_NS = 10_000_000_000
# In a busy window, what isn't measured is so many times what is used without requests.
_BUSY = 3.0
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredWindow:
    """A few seconds of a process: its CPU time, that of its background work, and that of its requests.

    By series, `requests` has the number of requests, `measured` their CPU time, and `resident` whether the
    version is loaded; `refusals` are requests without a series. `memory_bytes` is what the process held.
    Times are in nanoseconds.
    """

    wall_ns: int
    process_ns: int
    background_ns: int
    requests: tuple[int, ...]
    measured: tuple[int, ...]
    resident: tuple[bool, ...]
    refusals: int
    memory_bytes: int

    @property
    def answered(self) -> int:
        """The number of requests, with refused ones."""
        return sum(self.requests) + self.refusals

    @property
    def is_idle(self) -> bool:
        """Whether there were no requests."""
        return not self.answered

    @property
    def rest_ns(self) -> int:
        """The CPU time without that of background work."""
        return max(0, self.process_ns - self.background_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """The charges of a window by series: `requests` and `idle` add up, with `unshared`, to its CPU time."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The findings of earlier windows: CPU time per time without requests, and beside the work of a request.

    Which part of a window is the idle one can't be measured. In a window with many requests it is known well
    from those without any, in a window with few it is what these requests leave over. Until then usual values
    count.
    """

    idle_rate: float = 0.01
    overhead_ns: float = 50_000.0
    is_measured: bool = False

    def overhead(self, window: MeteredWindow) -> int:
        """The cost of the requests of a window beside their measured work."""
        rest = max(0, window.rest_ns - sum(window.measured))
        if window.is_idle:
            return 0
        if self._is_busy(window):
            return max(0, rest - round(self.idle_rate * window.wall_ns))
        return min(rest, int(self.overhead_ns * window.answered))

    def after(self, window: MeteredWindow) -> Baseline:
        """The baseline after another window: the shorter it is, the less it counts.

        While nothing is loaded, a server starts, which is no measure of what it does without requests.
        """
        if window.wall_ns <= 0 or not any(window.resident):
            return self
        length = min(1.0, window.wall_ns / _WHOLE_NS)
        if window.is_idle:
            weight = length * (_NEWEST if self.is_measured else 1.0)
            rate = self.idle_rate + weight * (window.rest_ns / window.wall_ns - self.idle_rate)
            return replace(self, idle_rate=rate, is_measured=self.is_measured or length > 0.5)
        if not self._is_busy(window):
            return self
        change = self.overhead(window) / window.answered - self.overhead_ns
        return replace(self, overhead_ns=self.overhead_ns + length * _NEWEST * change)

    def _is_busy(self, window: MeteredWindow) -> bool:
        """Whether an error in the idle rate matters little."""
        rest = window.rest_ns - sum(window.measured)
        return rest >= _BUSY * self.idle_rate * window.wall_ns


def charge(window: MeteredWindow, baseline: Baseline) -> Charges:
    """Divide the CPU time and the memory of a window."""
    own = sum(window.measured)
    overhead = baseline.overhead(window)
    *shares, refused = split(overhead, [*window.requests, window.refusals])
    # Clocks of threads and of the process differ a little.
    parts = window.measured if own <= window.rest_ns else split(window.rest_ns, window.measured)
    beside = window.process_ns - sum(parts) - overhead + refused
    loaded = [int(each) for each in window.resident]
    shared = beside if any(loaded) else 0
    held = window.memory_bytes * window.wall_ns // 1_000_000_000 if any(loaded) else 0
    return Charges(
        requests=tuple(part + share for part, share in zip(parts, shares, strict=True)),
        idle=tuple(split(shared, loaded) if shared else [0] * len(loaded)),
        memory_byte_s=tuple(split(held, loaded) if held else [0] * len(loaded)),
        unshared=beside - shared,
    )


def usage_of(totals: SeriesTotals) -> ServedUsage:
    """The usage of a series, as the ledger records it."""
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
