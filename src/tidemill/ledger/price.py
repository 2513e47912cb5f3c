"""The prices of what computing uses, and from when on each counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

HOUR_S = 3600.0
# A twelfth of a year of 365 days.
MONTH_S = 730 * HOUR_S
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The prices of a time, in `currency`, of what steps, requests and stored data use.

    They are those of an hour of a CPU, of a gigabyte (10^9 bytes) of memory and of a GPU, of a gigabyte that
    is stored for a month (730 hours) or sent to others, and of one of each of the named `units`, such as
    tokens and calls of services. They count from `since` (Unix seconds; None: from the beginning).
    """

    cpu_hour: float = 0.0
    currency: str = "USD"
    memory_gb_hour: float = 0.0
    gpu_hour: float = 0.0
    storage_gb_month: float = 0.0
    egress_gb: float = 0.0
    units: Mapping[str, float] = field(default_factory=dict)
    since: float | None = None

    def of(
        self,
        cpu_s: float = 0.0,
        memory_gb_s: float = 0.0,
        *,
        gpu_s: float = 0.0,
        storage_gb_s: float = 0.0,
        egress_gb: float = 0.0,
        units: Mapping[str, float] | None = None,
    ) -> float:
        """Return the price of so many CPU seconds, gigabytes times seconds, gigabytes, and units."""
        amount = (
            cpu_s / HOUR_S * self.cpu_hour
            + memory_gb_s / HOUR_S * self.memory_gb_hour
            + gpu_s / HOUR_S * self.gpu_hour
            + storage_gb_s / MONTH_S * self.storage_gb_month
            + egress_gb * self.egress_gb
        )
        for name, count in (units or {}).items():
            amount += count * self.units.get(name, 0.0)
        return amount

    @property
    def is_free(self) -> bool:
        """Whether nothing has a price."""
        return not (
            self.cpu_hour
            or self.memory_gb_hour
            or self.gpu_hour
            or self.storage_gb_month
            or self.egress_gb
            or any(self.units.values())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """The prices of a workflow, the oldest first; each counts until the next, the first also before it.

    Raises ValueError without prices, and for some that don't follow each other.
    """

    prices: tuple[Price, ...] = (Price(),)

    def __post_init__(self) -> None:
        if not self.prices:
            raise ValueError("a price book has no prices")
        begins = [price.since for price in self.prices[1:]]
        first = self.prices[0].since
        if None in begins or any(
            one is not None and other is not None and one >= other
            for one, other in zip([first, *begins], begins, strict=False)
        ):
            raise ValueError("the prices of a price book don't follow each other")

    def at(self, moment: float) -> Price:
        """The prices that count at a moment (Unix seconds)."""
        found = self.prices[0]
        for price in self.prices[1:]:
            if price.since is None or price.since > moment:
                break
            found = price
        return found

    @property
    def is_free(self) -> bool:
        """Whether nothing has ever a price."""
        return all(price.is_free for price in self.prices)
