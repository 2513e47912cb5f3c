"""Quantities of what work used, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.cost_events import StorageMetered
from tidemill.ledger.price import GB, Price
from tidemill.ledger.run import Attempt
from tidemill.ledger.usage import ServedUsage


@dataclass(slots=True, kw_only=True)
class Quantities:
    """Quantities that add up: seconds, gigabytes (10^9 bytes), gigabytes times seconds, and named units.

    `spent` is money that is known as such, in the currency of the prices.
    """

    cpu_s: float = 0.0
    memory_gb_s: float = 0.0
    gpu_s: float = 0.0
    storage_gb_s: float = 0.0
    egress_gb: float = 0.0
    units: dict[str, float] = field(default_factory=dict)
    spent: float = 0.0

    def add(self, other: Quantities) -> None:
        """Add other quantities."""
        self.cpu_s += other.cpu_s
        self.memory_gb_s += other.memory_gb_s
        self.gpu_s += other.gpu_s
        self.storage_gb_s += other.storage_gb_s
        self.egress_gb += other.egress_gb
        self.spent += other.spent
        for name, count in other.units.items():
            self.units[name] = self.units.get(name, 0.0) + count

    def cost(self, price: Price) -> float:
        """The cost at a price, in its currency."""
        return self.spent + price.of(
            self.cpu_s,
            self.memory_gb_s,
            gpu_s=self.gpu_s,
            storage_gb_s=self.storage_gb_s,
            egress_gb=self.egress_gb,
            units=self.units,
        )

    def beyond(self, others: Quantities) -> Quantities:
        """The CPU time and memory that are more than in others; these can be measured a little larger."""
        return Quantities(
            cpu_s=max(0.0, self.cpu_s - others.cpu_s),
            memory_gb_s=max(0.0, self.memory_gb_s - others.memory_gb_s),
        )


def attempt_quantities(attempt: Attempt) -> Quantities:
    """What an attempt at a step used, however it ended; its process held its peak of memory all the time."""
    return Quantities(
        cpu_s=attempt.cpu_s,
        memory_gb_s=attempt.peak_rss / GB * attempt.wall_s,
        gpu_s=attempt.gpus * attempt.wall_s,
        egress_gb=attempt.egress_bytes / GB,
        units={**attempt.units},
        spent=attempt.memo.spent if attempt.memo is not None else 0.0,
    )


def total_quantities(attempts: Iterable[Attempt]) -> Quantities:
    """What some attempts used together."""
    found = Quantities()
    for attempt in attempts:
        found.add(attempt_quantities(attempt))
    return found


def request_quantities(usage: ServedUsage) -> Quantities:
    """What served requests used themselves."""
    return Quantities(cpu_s=usage.cpu_s)


def idle_quantities(usage: ServedUsage) -> Quantities:
    """What a served version used beside its requests: its share of idle time, and memory."""
    return Quantities(cpu_s=usage.idle_cpu_s, memory_gb_s=usage.memory_gb_s)


def storage_quantities(event: StorageMetered, at: float) -> Iterator[tuple[str, Quantities]]:
    """What was stored by stage until `at` (Unix seconds), with "" for what belongs to none."""
    seconds = max(0.0, at - event.since)
    for stage, size in (*event.stages.items(), ("", event.shared)):
        if size and seconds:
            yield stage, Quantities(storage_gb_s=size / GB * seconds)


def add_amounts(amounts: dict[str, float], more: Mapping[str, float]) -> None:
    """Add amounts by currency."""
    for currency, amount in more.items():
        amounts[currency] = amounts.get(currency, 0.0) + amount
