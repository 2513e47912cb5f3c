"""The prices of what computing uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The prices of a CPU hour, and of an hour of a gigabyte of memory."""

    cpu_hour: float = 0.0
    currency: str = "USD"
    memory_gb_hour: float = 0.0

    def of(self, cpu_s: float, memory_gb_s: float = 0.0) -> float:
        """Return the price of so many CPU seconds, and gigabytes times seconds."""
        return cpu_s / 3600 * self.cpu_hour + memory_gb_s / 3600 * self.memory_gb_hour
