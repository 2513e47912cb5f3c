"""Amounts of what work used, and how much of a budget they take."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import Quantities
from tidemill.ledger.price import HOUR_S, Price
from tidemill.workflow.spending_limit import SpendingLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of CPUs and GPUs, gigabytes of memory times seconds, and `external` money for all else."""

    cpu_s: float = 0.0
    memory_gb_s: float = 0.0
    gpu_s: float = 0.0
    external: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            cpu_s=self.cpu_s + other.cpu_s,
            memory_gb_s=self.memory_gb_s + other.memory_gb_s,
            gpu_s=self.gpu_s + other.gpu_s,
            external=self.external + other.external,
        )

    def without(self, other: Spent) -> Spent:
        """What is left of each amount when another one is taken from it."""
        return Spent(
            cpu_s=max(0.0, self.cpu_s - other.cpu_s),
            memory_gb_s=max(0.0, self.memory_gb_s - other.memory_gb_s),
            gpu_s=max(0.0, self.gpu_s - other.gpu_s),
            external=max(0.0, self.external - other.external),
        )

    def most(self, other: Spent) -> Spent:
        """The larger amount of each."""
        return Spent(
            cpu_s=max(self.cpu_s, other.cpu_s),
            memory_gb_s=max(self.memory_gb_s, other.memory_gb_s),
            gpu_s=max(self.gpu_s, other.gpu_s),
            external=max(self.external, other.external),
        )

    def times(self, factor: float) -> Spent:
        """So many times each amount."""
        return Spent(
            cpu_s=factor * self.cpu_s,
            memory_gb_s=factor * self.memory_gb_s,
            gpu_s=factor * self.gpu_s,
            external=factor * self.external,
        )

    def money(self, price: Price) -> float:
        """What it costs."""
        return price.of(self.cpu_s, self.memory_gb_s, gpu_s=self.gpu_s) + self.external

    def share_of(self, limit: SpendingLimit, price: Price) -> float:
        """How much of a limit it takes, in the unit of that limit."""
        return self.cpu_s / HOUR_S if limit.in_cpu_hours else self.money(price)


NOTHING_SPENT = Spent()


def spent_of(used: Quantities, price: Price) -> Spent:
    """What quantities take of budgets at a price; those that aren't seconds are money at once."""
    return Spent(
        cpu_s=used.cpu_s,
        memory_gb_s=used.memory_gb_s,
        gpu_s=used.gpu_s,
        external=used.spent
        + price.of(storage_gb_s=used.storage_gb_s, egress_gb=used.egress_gb, units=used.units),
    )
