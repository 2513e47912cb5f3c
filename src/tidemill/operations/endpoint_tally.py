"""Sum up what endpoints served, from recorded usage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import add_amounts, idle_quantities, request_quantities
from tidemill.ledger.price import Price
from tidemill.ledger.usage import ServedUsage
from tidemill.serving.buckets import LATENCY_BUCKETS, latency_ends

_FAILED = "5"


@dataclass(slots=True, kw_only=True)
class EndpointTally:
    """Requests, those that failed on the server's side, rows, costs by currency, and counts of latencies."""

    requests: int = 0
    failed: int = 0
    rows: int = 0
    amounts: dict[str, float] = field(default_factory=dict)
    latency: list[int] = field(default_factory=lambda: [0] * LATENCY_BUCKETS)

    def add(self, usage: ServedUsage, price: Price) -> None:
        """Add the usage of a period."""
        self.requests += usage.requests
        self.failed += failed_requests(usage)
        self.rows += usage.rows
        spent = request_quantities(usage).cost(price) + idle_quantities(usage).cost(price)
        add_amounts(self.amounts, {price.currency: spent})
        for bucket, count in enumerate(usage.latency[:LATENCY_BUCKETS]):
            self.latency[bucket] += count

    def merge(self, other: EndpointTally) -> None:
        """Add other sums."""
        self.requests += other.requests
        self.failed += other.failed
        self.rows += other.rows
        add_amounts(self.amounts, other.amounts)
        self.latency = [one + more for one, more in zip(self.latency, other.latency, strict=True)]


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
