"""Sum up what endpoints served, from recorded usage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tidemill.history.stage_performance import whole_units
from tidemill.ledger.event import Served
from tidemill.ledger.price import Price
from tidemill.ledger.usage import ServedUsage
from tidemill.serving.buckets import LATENCY_BUCKETS, latency_ends

_NANO = 1_000_000_000
_FAILED = "5"


@dataclass(slots=True, kw_only=True)
class EndpointTally:
    """Requests, those that failed on the server's side, rows, cost, and counts by bucket of latency."""

    requests: int = 0
    failed: int = 0
    rows: int = 0
    cost_nano: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * LATENCY_BUCKETS)

    def add(self, usage: ServedUsage, price: Price) -> None:
        """Add the usage of a period."""
        self.requests += usage.requests
        self.failed += failed_requests(usage)
        self.rows += usage.rows
        spent = price.of(usage.cpu_s + usage.idle_cpu_s, usage.memory_gb_s)
        self.cost_nano += whole_units(spent, _NANO)
        for bucket, count in enumerate(usage.latency[:LATENCY_BUCKETS]):
            self.latency[bucket] += count

    def merge(self, other: EndpointTally) -> None:
        """Add other sums."""
        self.requests += other.requests
        self.failed += other.failed
        self.rows += other.rows
        self.cost_nano += other.cost_nano
        self.latency = [one + more for one, more in zip(self.latency, other.latency, strict=True)]

    @property
    def cost(self) -> float:
        """The cost in the currency of the settings."""
        return self.cost_nano / _NANO


def failed_requests(usage: ServedUsage) -> int:
    """How many requests failed on the server's side, by their status."""
    return sum(count for status, count in usage.errors.items() if status.startswith(_FAILED))


def slow_requests(usage: ServedUsage, limit: float) -> int:
    """How many requests took longer than so many seconds; those of a bucket that ends later did."""
    quick = sum(
        count for count, end in zip(usage.latency, latency_ends(), strict=False) if end <= limit
    )
    return max(0, sum(usage.latency) - quick)


def merged_endpoints(tallies: Iterable[EndpointTally]) -> EndpointTally:
    """The sums of some tallies."""
    found = EndpointTally()
    for each in tallies:
        found.merge(each)
    return found


def served_price(event: Served) -> Price:
    """The prices at the time of the usage."""
    return Price(
        cpu_hour=event.cpu_hour, memory_gb_hour=event.memory_gb_hour, currency=event.currency
    )
