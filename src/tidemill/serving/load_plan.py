"""How requests are sent to measure a server: at a fixed rate, or by callers who wait for each reply."""

from __future__ import annotations

from math import inf

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

_SECOND = 1_000_000_000
# The most connections that a test at a fixed rate opens, if nothing says how many.
DEFAULT_CONNECTIONS = 64
# Requests a second; those that are due wait in memory until they are sent.
MOST_RATE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Sends `rate` requests a second (an open loop), or has `callers` wait for each reply (a closed one).

    It takes `duration` seconds. A request without a reply after `timeout` seconds is given up. In an open
    loop at most `connections` requests are on their way at once; others wait, and their time counts.
    """

    rate: float = 0.0
    callers: int = 0
    duration: float = 30.0
    timeout: float = 10.0
    connections: int = 0
    rows_per_request: int = 1

    def __post_init__(self) -> None:
        if bool(self.rate) == bool(self.callers):
            raise UsageError("choose either a rate (--rate) or a number of callers (--concurrency)")
        for name in ("rate", "callers", "connections"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} = {getattr(self, name):g} is negative")
        if not self.rate <= MOST_RATE:
            raise UsageError(
                f"rate = {self.rate:g} is more than one program can send: at most {MOST_RATE:,}"
            )
        for name in ("duration", "timeout"):
            if not 0 < getattr(self, name) < inf:
                raise UsageError(f"{name} = {getattr(self, name):g} s is not a positive time")

    @property
    def is_open(self) -> bool:
        """Whether requests are sent at a fixed rate."""
        return self.rate > 0

    @property
    def most_connections(self) -> int:
        """The number of requests that may be on their way at once."""
        return self.connections or self.callers or DEFAULT_CONNECTIONS

    @property
    def requests(self) -> int:
        """The number of requests of an open loop: those that are due before the end."""
        return max(1, round(self.rate * self.duration))

    def due(self, number: int) -> int:
        """When a request of an open loop should be sent, in nanoseconds after the start."""
        return round(number * _SECOND / self.rate)

    @property
    def end(self) -> int:
        """When no more requests are sent, in nanoseconds after the start."""
        return round(self.duration * _SECOND)
